#include "runtime/batch/journal/journal_scan.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "runtime/batch/journal/json_shape.h"

namespace ll {
namespace {

constexpr std::string_view kRecordStart = R"({"id":"batch_req_)", kIdEnd = R"(","custom_id":)",
                           kNoError = R"("error":null})";

size_t read_at(int fd, const std::string& path, char* to, size_t size, int64_t offset) {
  for (;;) {
    ssize_t n = ::pread(fd, to, size, offset);
    if (n >= 0) return static_cast<size_t>(n);
    check(errno == EINTR, "{}: cannot read: {}", path, std::strerror(errno));
  }
}

}  // namespace

int64_t for_each_line(int fd, const std::string& path,
                      const std::function<void(const JournalLine&)>& take) {
  std::string buffer(size_t{1} << 20, '\0');
  JournalLine line;
  size_t held = 0;  // bytes of a line that has no end yet
  for (;;) {
    if (held == buffer.size()) buffer.resize(2 * held);
    size_t n = read_at(fd, path, buffer.data() + held, buffer.size() - held,
                       line.offset + static_cast<int64_t>(held));
    if (n == 0) return line.offset;
    std::string_view rest(buffer.data(), held + n);
    for (size_t from = held;; from = 0) {
      size_t newline = rest.find('\n', from);
      if (newline == rest.npos) break;
      ++line.number;
      line.text = rest.substr(0, newline);
      take(line);
      line.offset += static_cast<int64_t>(newline) + 1;
      rest.remove_prefix(newline + 1);
    }
    held = rest.size();
    std::memmove(buffer.data(), rest.data(), held);
  }
}

std::optional<RecordHead> read_record_head(std::string_view text) {
  if (!text.starts_with(kRecordStart)) return std::nullopt;
  RecordHead head;
  const char *digits = text.data() + kRecordStart.size(), *end = text.data() + text.size();
  auto [stop, error] = std::from_chars(digits, end, head.line);
  bool is_record = error == std::errc() && head.line > 0 &&
                   std::string_view(stop, static_cast<size_t>(end - stop)).starts_with(kIdEnd) &&
                   is_whole_object(text);
  if (!is_record) return std::nullopt;
  head.is_error = !text.ends_with(kNoError);
  return head;
}

JournalScan scan_journal(int fd, const std::string& path, const LineRange& lines) {
  JournalScan scan;
  scan.num_bytes = for_each_line(fd, path, [&](const JournalLine& line) {
    auto head = read_record_head(line.text);
    check(head.has_value(),
          "{}:{}: is no whole answer: the file was damaged or edited; `truncate -s {} {}` keeps "
          "the {} before it, and the rest is asked again",
          path, line.number, line.offset, path, line.number - 1);
    check(lines.contains(head->line),
          "{}:{}: answers line {} of the input, which this job does not have", path, line.number,
          head->line);
    if (!scan.answered.insert(head->line))
      ++scan.num_repeated;
    else
      scan.num_errors += head->is_error;
  });
  return scan;
}

}  // namespace ll
