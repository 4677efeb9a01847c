// What a step brought, and how sequences end.
#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "runtime/schedule/scheduler.h"

namespace ll {

StepEvents Scheduler::commit(PlannedStep step, StepResult result) {
  ensure(result.tokens.size() == step.samples.size(), "commit: one token a sample");
  ensure(result.prompt_logprobs.size() == step.scored.size(),
         "commit: scores of each scored chunk");
  note_time(step.plan, result.time.seconds);
  StepEvents events{.started = std::move(step.started)};
  for (size_t i = 0; i < step.scored.size(); ++i) {
    step.scored[i].logprobs = std::move(result.prompt_logprobs[i]);
    events.prompt_scores.push_back(std::move(step.scored[i]));
  }
  events.tokens.reserve(step.samples.size());
  for (size_t i = 0; i < step.samples.size(); ++i) {
    const SequencePtr& s = step.samples[i];
    if (step.plan.is_first(i)) {
      s->num_in_flight -= i < step.plan.decode.size() ? step.plan.num_drafts + 1 : 1;
      --s->num_steps_in_flight;
    }
    // The row was planned before the end was known.
    if (s->state == Sequence::State::kFinished) continue;
    int32_t token = result.tokens[i];
    if (!step.plan.is_first(i)) note_draft(*s, token, events);
    if (token == kRejectedToken || token == kUndraftedToken) continue;
    bool is_drawn = token != kUndrawnToken;
    s->tokens.push_back(is_drawn ? token : 0);
    if (draft_policy_) draft_policy_->saw(s->tokens, s->draft_run);
    if (s->state == Sequence::State::kDecoding) s->num_computed = s->most_computed();
    FinishReason reason = is_drawn ? s->finish_after_last_token() : FinishReason::kFailed;
    events.tokens.push_back({s->id(), s->tokens.back(), reason});
    if (is_drawn && s->params().logprobs >= 0 && !result.logprobs.empty())
      events.tokens.back().logprob = std::move(result.logprobs[i]);
    if (reason != FinishReason::kNone) finish(s);
  }
  return events;
}

void Scheduler::finish(const SequencePtr& s) {
  if (s->is_running()) {
    release(*s);
    std::erase(running_, s);
  } else {
    std::erase(waiting_, s);
  }
  s->state = Sequence::State::kFinished;
}

template <class Predicate>
void Scheduler::finish_if(const Predicate& is_meant) {
  std::vector<SequencePtr> found;
  std::copy_if(running_.begin(), running_.end(), std::back_inserter(found), is_meant);
  std::copy_if(waiting_.begin(), waiting_.end(), std::back_inserter(found), is_meant);
  for (const SequencePtr& s : found) finish(s);
}

void Scheduler::end(SequenceId id) {
  finish_if([&](const SequencePtr& s) { return s->id() == id; });
}

void Scheduler::cancel(int64_t request) {
  finish_if([&](const SequencePtr& s) { return s->request->id == request; });
}

}  // namespace ll
