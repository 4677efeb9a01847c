#pragma once
// What a step brought, as values: nobody holds on to a sequence of the scheduler.
//
// A sequence that is ended by Scheduler::end() is not heard of here again, but for tokens of steps
// that were committed in the same call: who takes events ignores tokens behind an end it has told.
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/schedule/request.h"
#include "runtime/schedule/step_cost.h"
#include "runtime/schedule/step_result.h"
#include "runtime/schedule/step_work.h"

namespace ll {

// One of a request's n answers.
struct SequenceId {
  int64_t request = 0;
  int32_t index = 0;  // among the n

  auto operator<=>(const SequenceId&) const = default;
};

// A prompt ran for the first time.
struct StartedPrompt {
  int64_t request = 0;
  int32_t num_cached = 0;  // its positions that the radix cache knew
};

// Log-probabilities of prompt tokens [first, first + logprobs.size()); from 1 on again after a
// preemption.
struct PromptScores {
  int64_t request = 0;
  int32_t first = 0;
  std::vector<TokenLogprob> logprobs;
};

// Drafts of a request that a step ran, and how many of them are among its tokens.
struct DraftedTokens {
  int64_t request = 0;
  int32_t drafted = 0, accepted = 0;
};

struct DrawnToken {
  SequenceId sequence;
  int32_t token = 0;
  // Other than kNone: the token is its sequence's last.
  FinishReason finish_reason = FinishReason::kNone;
  std::optional<TokenLogprob> logprob;  // where the request asks for it
};

// A prompt's start and scores come before its first token; tokens of a sequence are in order.
struct StepEvents {
  std::vector<StepWork> steps;  // that were launched
  std::vector<StepCost> costs;  // of those that are done
  std::vector<StartedPrompt> started;
  std::vector<PromptScores> prompt_scores;
  std::vector<DraftedTokens> drafted;  // before the tokens they became
  std::vector<DrawnToken> tokens;

  bool is_empty() const {
    return steps.empty() && costs.empty() && started.empty() && prompt_scores.empty() &&
           tokens.empty();
  }

  void append(StepEvents later) {
    auto move_to = [](auto& list, auto& more) {
      if (list.empty()) return std::swap(list, more);
      list.insert(list.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
    };
    move_to(steps, later.steps);
    move_to(costs, later.costs);
    move_to(started, later.started);
    move_to(prompt_scores, later.prompt_scores);
    move_to(drafted, later.drafted);
    move_to(tokens, later.tokens);
  }
};

}  // namespace ll
