#include "runtime/process/time_limit.h"

#include <fmt/core.h>

#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace ll {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

std::optional<int64_t> number_of(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool is_number = error == std::errc() && end == text.data() + text.size();
  return is_number && value >= 0 ? std::optional(value) : std::nullopt;
}

bool is_digits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789_+") == std::string::npos;
}

std::string squeue_time_left(const std::string& job) {
  if (!is_digits(job)) return "";  // it goes into a shell
  std::string command = fmt::format("timeout 10 squeue -h -j {} -o %L 2>/dev/null", job);
  std::unique_ptr<FILE, int (*)(FILE*)> out(::popen(command.c_str(), "re"), ::pclose);
  char line[64] = "";
  if (!out || !std::fgets(line, sizeof line, out.get())) return "";
  return line;
}

}  // namespace

std::optional<seconds> parse_time_left(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty() && std::isspace(static_cast<unsigned char>(rest.back())))
    rest.remove_suffix(1);
  int64_t days = 0;
  if (size_t dash = rest.find('-'); dash != rest.npos) {
    auto value = number_of(rest.substr(0, dash));
    if (!value) return std::nullopt;
    days = *value;
    rest.remove_prefix(dash + 1);
  }
  int64_t time = 0;
  int parts = 0;
  for (;; ++parts) {
    size_t colon = rest.find(':');
    auto value = number_of(rest.substr(0, colon));
    if (!value) return std::nullopt;
    time = 60 * time + *value;
    if (colon == rest.npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (parts == 0 || parts > 2) return std::nullopt;
  return seconds(days * 86400 + time);
}

std::optional<TimeLimit> slurm_time_limit(const SlurmQuestions& ask) {
  const char* job = ask.variable("SLURM_JOB_ID");
  if (!job) return std::nullopt;
  TimeLimit limit{.name = fmt::format("the time limit of Slurm job {}", job)};
  const char* end_time = ask.variable("SLURM_JOB_END_TIME");
  if (auto end = number_of(end_time ? end_time : ""); end && *end > 0) {
    auto left = system_clock::from_time_t(static_cast<time_t>(*end)) - system_clock::now();
    limit.end = steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(left);
    return limit;
  }
  auto left = parse_time_left(ask.time_left(job));
  if (!left) return std::nullopt;
  limit.end = steady_clock::now() + *left;
  return limit;
}

SlurmQuestions slurm_questions() {
  return {.variable = [](const char* name) { return static_cast<const char*>(std::getenv(name)); },
          .time_left = squeue_time_left};
}

}  // namespace ll
