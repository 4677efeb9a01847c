#include "perf/serve_load/workload.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

namespace ll {
namespace {

using Json = nlohmann::ordered_json;
using Random = std::mt19937_64;

// The distributions of the standard library differ from one library to the next.
double uniform(Random& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

int64_t length(int64_t mean, double ratio, Random& random) {
  double least = static_cast<double>(mean) * (1 - ratio),
         most = static_cast<double>(mean) * (1 + ratio);
  auto length = static_cast<int64_t>(least + uniform(random) * (most - least + 1));
  return std::max<int64_t>(1, length);
}

// Ids that every vocabulary has, none of them special.
std::vector<int32_t> token_ids(int64_t count, Random& random) {
  constexpr uint64_t kFirst = 100, kCount = 400;
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(static_cast<int32_t>(kFirst + random() % kCount));
  return ids;
}

std::string words(int64_t count, Random& random) {
  constexpr const char* kWords[] = {"the", "of",   "and", "to",   "in",   "is",   "that", "for",
                                    "it",  "as",   "was", "with", "be",   "by",   "on",   "not",
                                    "he",  "this", "are", "or",   "his",  "from", "at",   "which",
                                    "but", "have", "an",  "had",  "they", "you",  "were", "their"};
  std::string text;
  for (int64_t i = 0; i < count; ++i)
    text.append(i > 0 ? " " : "").append(kWords[random() % std::size(kWords)]);
  return text;
}

std::string body(const Workload& work, Random& random) {
  int64_t input_len = length(work.input_len, work.range_ratio, random);
  Json body = {{"model", work.model}};
  if (work.is_chat)
    body["messages"] = {{{"role", "user"}, {"content", words(input_len, random)}}};
  else
    body["prompt"] = token_ids(input_len, random);
  body["max_tokens"] = length(work.output_len, work.range_ratio, random);
  body["temperature"] = work.temperature;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  if (work.ignore_eos) body["ignore_eos"] = true;
  return body.dump();
}

}  // namespace

std::vector<LoadRequest> make_workload(const Workload& work) {
  Random random(work.seed);
  std::vector<LoadRequest> requests;
  double start = 0;
  for (int64_t i = 0; i < work.num_prompts; ++i) {
    requests.push_back({.body = body(work, random), .start = start});
    if (std::isfinite(work.rate)) start -= std::log1p(-uniform(random)) / work.rate;
  }
  return requests;
}

}  // namespace ll
