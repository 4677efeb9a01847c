#include "runtime/schedule/sequence.h"

#include <algorithm>
#include <span>

#include "base/check.h"

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

void Sequence::list_bans(int32_t sample, std::vector<StepPlan::Ban>& bans) const {
  if (params().bad_words.empty()) return;
  int32_t num_unknown = num_in_flight - 1;
  ensure(num_unknown <= 1, "bad words: two tokens are not known");
  std::span<const int32_t> output = std::span(tokens).subspan(static_cast<size_t>(num_prompt));
  for (const std::vector<int32_t>& word : params().bad_words) {
    // The last of those before it may be in flight: the device then compares it.
    auto before = std::span(word).first(word.size() - 1),
         known = before.first(before.size() - static_cast<size_t>(num_unknown));
    bool fits = known.size() <= output.size() &&
                std::equal(known.begin(), known.end(), output.end() - std::ssize(known));
    if (fits) bans.push_back({sample, word.back(), num_unknown > 0 ? before.back() : -1});
  }
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
