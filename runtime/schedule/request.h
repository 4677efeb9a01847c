#pragma once
// What a user asks for: token ids in, and how to draw tokens. Names and defaults are OpenAI's and
// vLLM's.
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/draw.h"

namespace ll {

// Below this temperature its inverse would overflow, and no other token than the likeliest be drawn
// anyway.
constexpr float kGreedyTemperature = 1e-5f;

struct SamplingParams : Draw {
  SamplingParams() { temperature = 1; }

  int32_t n = 1;
  std::vector<std::pair<int32_t, float>> logit_bias;  // token, bias
  std::vector<int32_t> allowed_token_ids;             // only_allowed: no others
  // Each has two tokens or more; the last is forbidden behind the others.
  std::vector<std::vector<int32_t>> bad_words;
  int32_t max_tokens = 16;
  int32_t min_tokens = 0;
  bool ignore_eos = false;
  std::vector<int32_t> stop_token_ids;
  int32_t logprobs = -1;         // of output tokens: -1 none, else also this many of the largest
  int32_t prompt_logprobs = -1;  // of prompt tokens

  bool operator==(const SamplingParams&) const = default;
};

struct Request {
  int64_t id = 0;        // also the order of arrival
  int32_t priority = 0;  // the lower, the earlier it is handled; as vLLM has it
  std::vector<int32_t> prompt;
  SamplingParams params;
  std::vector<int32_t> eos_token_ids;  // of the model
};

// The order in which requests are handled.
inline bool is_before(const Request& a, const Request& b) {
  return std::pair(a.priority, a.id) < std::pair(b.priority, b.id);
}

// kFailed: no token could be drawn.
enum class FinishReason : uint8_t { kNone, kStop, kLength, kAborted, kFailed };

}  // namespace ll
