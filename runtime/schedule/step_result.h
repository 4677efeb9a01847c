#pragma once
// What a step brought back to rank 0.
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/schedule/rank_times.h"

namespace ll {

// Natural logarithms of the model's own probabilities, before temperature and penalties.
struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top;  // (token, logprob), likeliest first
};

struct StepResult {
  StepTime time;
  // The plan's samples, in order; kUndrawnToken: none could be drawn, and kRejectedToken or
  // kUndraftedToken for drafts that brought none.
  std::vector<int32_t> tokens;
  std::vector<TokenLogprob> logprobs;  // of the plan's samples; empty unless one of them asks
  // A list for each of the plan's chunks with prompt logprobs, in order: one entry a row that has a
  // next prompt token.
  std::vector<std::vector<TokenLogprob>> prompt_logprobs;
};

}  // namespace ll
