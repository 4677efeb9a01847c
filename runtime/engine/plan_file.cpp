#include "runtime/engine/plan_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check_call.h"
#include "base/hash/hash.h"
#include "base/json_fields.h"
#include "base/write_all.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kMagic = "litelang plans 1";
static_assert(kMagic.size() == 16);
constexpr size_t kMaxWords = size_t{1} << 28;
constexpr uint64_t kWord = sizeof(int32_t);

enum Kind : int32_t { kHeader = 1, kPlan, kTokens, kEnd };

int32_t checksum(int32_t kind, std::span<const int32_t> words) {
  Fnv32 hash;
  hash.add(static_cast<uint32_t>(kind));
  hash.add(static_cast<uint32_t>(words.size()));
  for (int32_t word : words) hash.add(static_cast<uint32_t>(word));
  return static_cast<int32_t>(hash.value);
}

// Text in words, filled up with blanks.
std::vector<int32_t> words_of(std::string text) {
  text.resize((text.size() + kWord - 1) / kWord * kWord, ' ');
  std::vector<int32_t> words(text.size() / kWord);
  std::memcpy(words.data(), text.data(), text.size());
  return words;
}

bool is_recording(const std::string& path) {
  InputFile file(path);
  std::string head(kMagic.size(), '\0');
  if (file.size() < head.size()) return file.size() == 0;
  file.read(0, std::as_writable_bytes(std::span(head)));
  return head == kMagic;
}

}  // namespace

std::string PlanFileHeader::text() const {
  Json values = Json::object();
  for (const auto& [key, value] : settings) values[key] = value;
  Json json = {{"version", version}, {"model", model},         {"model_path", model_path},
               {"grid", grid},       {"num_ranks", num_ranks}, {"num_pages", num_pages},
               {"settings", values}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

PlanFileHeader PlanFileHeader::parse(std::string_view text, const std::string& path) {
  JsonTree tree = JsonTree::parse(text, path);
  JsonFields fields(tree, path);
  PlanFileHeader h{.version = fields.text("version", ""),
                   .model = fields.text("model", ""),
                   .model_path = fields.text("model_path", ""),
                   .grid = fields.text("grid", ""),
                   .num_ranks = fields.integer("num_ranks", 1, INT32_MAX),
                   .num_pages = fields.integer("num_pages", 1, INT64_MAX)};
  const JsonTree* settings = fields.find("settings");
  check(settings != nullptr, "{}: settings are missing", path);
  JsonFields values(*settings, path);
  for (const auto& member : settings->members)
    h.settings.emplace_back(member.key, values.text(member.key, ""));
  return h;
}

std::string recording_of(const std::string& path, int replica) {
  return replica == 0 ? path : fmt::format("{}.{}", path, replica);
}

PlanRecorder::PlanRecorder(std::string path, const PlanFileHeader& header)
    : path_(std::move(path)) {
  bool is_there = ::access(path_.c_str(), F_OK) == 0;
  check(!is_there || is_recording(path_),
        "{}: exists already and is no recording; choose another record_plan", path_);
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  check(fd_ >= 0, "{}: cannot write: {}; check record_plan", path_, std::strerror(errno));
  buffer_.resize(kMagic.size() / kWord);
  std::memcpy(buffer_.data(), kMagic.data(), kMagic.size());
  put(kHeader, words_of(header.text()));
  flush();
}

PlanRecorder::~PlanRecorder() {
  try {
    if (std::uncaught_exceptions() == 0) put(kEnd, {});
    flush();
  } catch (const Error& e) {
    fmt::print(stderr, "litelang: {}\n", e.what());
  }
  ::close(fd_);
}

void PlanRecorder::put(int32_t kind, std::span<const int32_t> words) {
  buffer_.push_back(kind);
  buffer_.push_back(static_cast<int32_t>(words.size()));
  buffer_.insert(buffer_.end(), words.begin(), words.end());
  buffer_.push_back(checksum(kind, words));
}

void PlanRecorder::flush() {
  std::string_view bytes(reinterpret_cast<const char*>(buffer_.data()), buffer_.size() * kWord);
  check_call(write_all(fd_, bytes), "{}: the plans cannot be recorded", path_);
  buffer_.clear();
}

void PlanRecorder::add(const StepPlan& plan) {
  put(kPlan, plan.encode());
  flush();
}

void PlanRecorder::add(int32_t step, std::span<const int32_t> tokens) {
  std::vector<int32_t> words = {step};
  words.insert(words.end(), tokens.begin(), tokens.end());
  put(kTokens, words);
}

PlanRecording::PlanRecording(const std::string& path) : file_(path) {
  check(file_.size() >= kMagic.size() && is_recording(path),
        "{}: is no recording of plans; record_plan makes one", path);
  at_ = kMagic.size();
  std::vector<int32_t> words;
  auto kind = read_record(words);
  check(kind == kHeader, "{}: {}", path, fault_.empty() ? "has no header" : fault_);
  std::string_view text(reinterpret_cast<const char*>(words.data()), words.size() * kWord);
  header_ = PlanFileHeader::parse(text, path);
}

std::nullopt_t PlanRecording::tear(const std::string& how) {
  fault_ = fmt::format("{} at byte {}, behind step {}", how, at_, last_step_);
  is_torn_ = true;
  return std::nullopt;
}

std::optional<int32_t> PlanRecording::read_record(std::vector<int32_t>& words) {
  int32_t head[2], sum = 0;
  uint64_t left = file_.size() - at_;
  if (left < sizeof head) return tear("is cut short");
  file_.read(at_, std::as_writable_bytes(std::span(head)));
  auto [kind, count] = std::pair(head[0], head[1]);
  if (kind < kHeader || kind > kEnd || count < 0 || static_cast<size_t>(count) > kMaxWords)
    return tear("is damaged");
  uint64_t bytes = static_cast<uint64_t>(count) * kWord;
  if (left < sizeof head + bytes + sizeof sum) return tear("is cut short");
  words.resize(static_cast<size_t>(count));
  file_.read(at_ + sizeof head, std::as_writable_bytes(std::span(words)));
  file_.read(at_ + sizeof head + bytes, std::as_writable_bytes(std::span(&sum, 1)));
  if (sum != checksum(kind, words)) return tear("is damaged");
  at_ += sizeof head + bytes + sizeof sum;
  return kind;
}

std::optional<PlanRecording::Entry> PlanRecording::next() {
  if (has_ended_ || !fault_.empty()) return std::nullopt;
  if (at_ == file_.size()) {
    fault_ = fmt::format("has no end: the program was ended in or behind step {}", last_step_);
    return std::nullopt;
  }
  std::vector<int32_t> words;
  auto kind = read_record(words);
  has_ended_ = kind == kEnd;
  if (!kind || has_ended_) return std::nullopt;
  Entry entry;
  if (kind == kPlan) {
    try {
      entry.plan = StepPlan::decode_from(words);
    } catch (const Error&) {  // its checksum may be right all the same
      return tear("is damaged");
    }
    entry.step = last_step_ = entry.plan->id;
    return entry;
  }
  if (kind != kTokens || words.empty()) return tear("is damaged");
  entry.step = words[0];
  entry.tokens.assign(words.begin() + 1, words.end());
  return entry;
}

}  // namespace ll
