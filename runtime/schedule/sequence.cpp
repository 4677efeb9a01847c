#include "runtime/schedule/sequence.h"

#include <algorithm>

namespace ll {
namespace {

bool contains(const std::vector<int32_t>& list, int32_t token) {
  return std::find(list.begin(), list.end(), token) != list.end();
}

}  // namespace

SlotSampling Sequence::slot_sampling() const {
  const SamplingParams& p = params();
  SlotSampling s{p};
  if (p.temperature < kGreedyTemperature) s.temperature = 0;
  // Each of n answers has noise of its own.
  s.seed = p.seed + static_cast<uint64_t>(index) * 0x9E3779B97F4A7C15u;
  s.num_logprobs = p.logprobs;
  s.logit_bias = p.logit_bias;
  if (p.min_tokens > 0) {
    s.min_position = num_prompt + p.min_tokens;
    s.banned_before = request->eos_token_ids;
    s.banned_before.insert(s.banned_before.end(), p.stop_token_ids.begin(), p.stop_token_ids.end());
  }
  return s;
}

FinishReason Sequence::finish_after_last_token() const {
  const SamplingParams& p = params();
  if (num_output() >= p.min_tokens) {
    if (!p.ignore_eos && contains(request->eos_token_ids, tokens.back()))
      return FinishReason::kStop;
    if (contains(p.stop_token_ids, tokens.back())) return FinishReason::kStop;
  }
  return num_output() >= p.max_tokens ? FinishReason::kLength : FinishReason::kNone;
}

}  // namespace ll
