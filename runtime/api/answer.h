#pragma once
// What is answered to a completion request, as values: whole, and piece by piece.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/schedule/request.h"
#include "runtime/schedule/step_cost.h"
#include "runtime/schedule/step_result.h"

namespace ll {

// For prompt tokens 1, 2, ...; all choices of a prompt share them. Null: not asked for.
using PromptLogprobs = std::shared_ptr<const std::vector<TokenLogprob>>;

struct Choice {
  int32_t index = 0;               // of prompt p the n choices p * n, p * n + 1, ...
  std::vector<int32_t> token_ids;  // the one that ended it included
  std::string text;
  FinishReason finish_reason = FinishReason::kNone;
  std::vector<TokenLogprob> logprobs;  // of token_ids, if asked for
  PromptLogprobs prompt_logprobs = {};
};

// In tokens, of all prompts and choices of a request.
struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
  int64_t cached_tokens = 0;                      // of the prompts', those the radix cache knew
  std::optional<Cost> cost = {};                  // where it is counted
  int64_t draft_tokens = 0, accepted_tokens = 0;  // drafts that ran, and those that are in it
};

// What a token adds to a choice. The texts of a choice's deltas, one behind the other, are its
// text, each of whole characters; text that may yet turn out to be a stop string is held back.
struct Delta {
  int64_t key = 0;     // of the request
  int32_t choice = 0;  // Choice::index
  std::string text;
  int32_t token = 0;
  std::optional<TokenLogprob> logprob;
  FinishReason finish_reason = FinishReason::kNone;  // of the choice's last delta
  PromptLogprobs prompt_logprobs = {};               // with the first delta of a choice
};

}  // namespace ll
