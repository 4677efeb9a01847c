#include "runtime/server/batches/multipart_reader.h"

#include <utility>

#include "base/ascii.h"
#include "base/check.h"

namespace ll {
namespace {

constexpr size_t kMaxHeadBytes = 16 << 10, kMaxBoundaryBytes = 70;

// The value of a parameter of a header, name=value or name="value"; none where it is not there.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  for (size_t at = header.find(';'); at != header.npos; at = header.find(';', at)) {
    at = std::min(header.find_first_not_of("; \t", at), header.size());
    size_t equals = header.find('=', at);
    if (equals == header.npos) return std::nullopt;
    bool is_meant = ascii_lower(header.substr(at, equals - at)) == name;
    std::string value;
    at = equals + 1;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && at + 1 < header.size()) ++at;
        value += header[at];
      }
    } else {
      size_t end = std::min(header.find(';', at), header.size());
      value = header.substr(at, end - at);
      while (value.ends_with(' ')) value.pop_back();
      at = end;
    }
    if (is_meant) return value;
  }
  return std::nullopt;
}

// The value of a header within the head of a part.
std::string_view header_of(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    size_t colon = line.find(':');
    if (colon != line.npos && ascii_lower(line.substr(0, colon)) == name)
      return line.substr(colon + 1);
  }
  return {};
}

}  // namespace

std::string MultipartReader::boundary_of(std::string_view content_type) {
  bool is_form = ascii_lower(content_type).starts_with("multipart/form-data");
  auto boundary = is_form ? parameter(content_type, "boundary") : std::nullopt;
  check(boundary && !boundary->empty() && boundary->size() <= kMaxBoundaryBytes,
        "content-type: must be multipart/form-data with a boundary");
  return *boundary;
}

// The first boundary may stand at the very beginning, as if a line had ended before.
MultipartReader::MultipartReader(std::string_view boundary, Handlers handlers)
    : delimiter_("\r\n--" + std::string(boundary)),
      handlers_(std::move(handlers)),
      pending_("\r\n") {}

void MultipartReader::push(std::string_view bytes) {
  pending_ += bytes;
  while (advance()) {
  }
}

void MultipartReader::finish() const {
  check(state_ == State::kEnd, "body: ends before its last boundary");
}

// A step on; false: it takes more bytes.
bool MultipartReader::advance() {
  switch (state_) {
    case State::kPreamble:
    case State::kPart:
      return pass_text();
    case State::kBoundary:
      return pass_boundary();
    case State::kHead:
      return pass_head();
    default:
      pending_.clear();
      return false;
  }
}

bool MultipartReader::pass_text() {
  size_t end = pending_.find(delimiter_);
  bool is_found = end != std::string::npos;
  // The last bytes may be the beginning of a boundary.
  size_t held = std::min(pending_.size(), delimiter_.size() - 1);
  size_t size = is_found ? end : pending_.size() - held;
  if (state_ == State::kPart && size > 0)
    handlers_.take(std::string_view(pending_).substr(0, size));
  pending_.erase(0, is_found ? end + delimiter_.size() : size);
  if (is_found) state_ = State::kBoundary;
  return is_found;
}

bool MultipartReader::pass_boundary() {
  size_t at = pending_.find_first_not_of(" \t");
  if (at == std::string::npos || at + 2 > pending_.size()) return false;
  bool is_last = pending_.compare(at, 2, "--") == 0;
  check(is_last || pending_.compare(at, 2, "\r\n") == 0, "body: a broken boundary");
  // The end of this line may be that of an empty head.
  pending_.erase(0, at + (is_last ? 2 : 0));
  state_ = is_last ? State::kEnd : State::kHead;
  return true;
}

bool MultipartReader::pass_head() {
  size_t end = pending_.find("\r\n\r\n");
  check(end != std::string::npos || pending_.size() <= kMaxHeadBytes,
        "body: the head of a part is too long");
  if (end == std::string::npos) return false;
  std::string head = pending_.substr(2, end < 2 ? 0 : end - 2);
  std::string_view disposition = header_of(head, "content-disposition");
  auto name = parameter(disposition, "name");
  check(name.has_value(), "body: a part has no name");
  handlers_.begin({*name, parameter(disposition, "filename")});
  // An empty part's boundary follows its head at once.
  pending_.erase(0, end + 4);
  state_ = State::kPart;
  return true;
}

}  // namespace ll
