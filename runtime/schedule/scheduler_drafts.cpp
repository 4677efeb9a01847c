// How many drafts the sequences of a step get.
#include <algorithm>

#include "base/numbers.h"
#include "runtime/schedule/scheduler.h"

namespace ll {

// The same number for each sequence; none where one of them cannot have any.
int32_t Scheduler::choose_drafts() const {
  if (!options_.drafts.are_on()) return 0;
  std::vector<DraftPolicy::Candidate> sequences;
  for (const SequencePtr& s : running_) {
    if (!s->can_decode()) continue;
    if (!s->can_speculate()) return 0;
    sequences.push_back({s->draft_run, s->num_in_flight - 1});
  }
  int32_t most = most_drafts(static_cast<int32_t>(sequences.size()));
  return draft_policy_ && most > 0 ? draft_policy_->choose(sequences, most) : most;
}

// What there is room for in a step, where nobody gives way to drafts.
int32_t Scheduler::most_drafts(int32_t num_sequences) const {
  if (num_sequences == 0) return 0;
  int32_t rows = std::min(options_.drafts.max_rows(options_.max_num_seqs),
                          options_.max_num_batched_tokens - num_sequences);
  if (options_.gather_tokens > 0) rows = std::min(rows, options_.gather_tokens - 1 - num_sequences);
  int32_t most = std::min(options_.drafts.max_drafts, std::max(rows, 0) / num_sequences);
  int64_t pages = num_sequences * (1 + ceil_div<int64_t>(most + 1, options_.page_span));
  return ledger_.num_in_use() + pages <= options_.num_pages ? most : 0;
}

// What a step teaches of the steps to come.
void Scheduler::note_time(const StepPlan& plan, double seconds) {
  if (draft_policy_ && plan.is_decode_only() && plan.prefix_groups.empty() && seconds > 0)
    draft_policy_->took(static_cast<int32_t>(plan.decode.size()), seconds);
}

// `token` is what came of the draft.
void Scheduler::note_draft(const Sequence& s, int32_t token, StepEvents& events) {
  DraftedTokens one{
      .request = s.request->id, .drafted = token != kUndraftedToken, .accepted = token >= 0};
  totals_.draft_tokens += one.drafted;
  totals_.accepted_tokens += one.accepted;
  if (one.drafted > 0) events.drafted.push_back(one);
}

}  // namespace ll
