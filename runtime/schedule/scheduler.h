#pragma once
// Policy: which sequences run in the next step, and which give way when pages run out: requests of
// lower `priority` come first, then those that came first. Knows no model, no device and no text;
// KvLedger keeps the books of pages.
//
// plan() may run one step ahead of commit(): it counts on tokens that are still being drawn and
// needs only their number, or with speculation a bound. A sequence that turns out to have ended
// costs one discarded row.
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/schedule/draft_policy.h"
#include "runtime/schedule/kv_ledger.h"
#include "runtime/schedule/planned_step.h"
#include "runtime/schedule/prefix_groups.h"
#include "runtime/schedule/sequence.h"
#include "runtime/schedule/step_events.h"
#include "runtime/schedule/step_plan.h"
#include "runtime/schedule/step_result.h"

namespace ll {

struct SchedulerOptions {
  int32_t max_num_seqs = 256;
  int32_t max_num_batched_tokens = 8192;
  bool chunked_prefill = true;
  bool radix = true;
  // Below this share of KV in use, expect only 0.6 of each remaining length.
  double busy_scale = 0.5;
  int64_t num_pages = 0;
  int64_t page_span = 64;
  int32_t gather_tokens = 0;  // steps of so many rows and more run in gathered mode; 0: none
  PrefixRules prefix_groups = {};
  DraftOptions drafts = {};

  bool gathers(int32_t rows) const { return gather_tokens > 0 && rows >= gather_tokens; }
};

struct SchedulerStats {
  int64_t num_waiting = 0, num_running = 0;
  int64_t num_preemptions = 0;
  int64_t prompt_tokens = 0, cached_tokens = 0;   // of sequences admitted so far
  int64_t draft_tokens = 0, accepted_tokens = 0;  // drafts that ran, and those that stood
  double kv_usage = 0;                            // share of pages in use by running sequences
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  // Throws Error when even an empty machine could not hold one of the request's sequences.
  void check_fits(const Request& request) const;
  // Queues request->params.n sequences, if they fit.
  void add(std::shared_ptr<const Request> request);

  bool has_work() const { return !waiting_.empty() || !running_.empty(); }
  int64_t num_waiting() const { return static_cast<int64_t>(waiting_.size()); }

  PlannedStep plan();

  // Takes in what `step` drew, and ends the sequences whose last token it was. Steps are committed
  // in the order they were planned.
  StepEvents commit(PlannedStep step, StepResult result);

  // Ends a sequence where it is; one that has ended or never was is no mistake.
  void end(SequenceId id);
  // All sequences of a request.
  void cancel(int64_t request);

  SchedulerStats stats() const;
  // Queues, KV pages and the running sequences in one line, for the message of a fault: a plan that
  // is empty and has preempted nobody, while there is work and no step is in flight, will be empty
  // for ever.
  std::string describe_state() const;
  void check_integrity() const;

 private:
  using SequencePtr = std::shared_ptr<Sequence>;

  void plan_decodes(PlannedStep& step);
  void group_decodes(PlannedStep& step);
  int32_t choose_drafts() const;
  int32_t most_drafts(int32_t num_sequences) const;
  bool continue_prefills(PlannedStep& step);
  void start_waiting(PlannedStep& step);
  bool plan_chunk(PlannedStep& step, const SequencePtr& sequence);
  void finish_prefill(PlannedStep& step, const SequencePtr& sequence, int32_t row);
  void fork(PlannedStep& step, const SequencePtr& leader, int32_t row);
  void add_sample(PlannedStep& step, const SequencePtr& sequence, int32_t row, int32_t position);

  bool admit(PlannedStep& step, const SequencePtr& sequence);
  bool fits(const Sequence& candidate) const;
  bool can_spare_page(const Sequence& sequence) const;
  int32_t num_slots_wanted(const Sequence& sequence) const;
  int32_t num_unclaimed_slots() const;
  static bool is_planned(const PlannedStep& step, const Sequence& sequence);
  void start_in_slot(PlannedStep& step, Sequence& sequence);

  void preempt(PlannedStep& step, const SequencePtr& victim);
  void wait(const SequencePtr& sequence);
  void release(Sequence& sequence);
  template <class Predicate>
  void finish_if(const Predicate& is_meant);
  void finish(const SequencePtr& sequence);
  void note_time(const StepPlan& plan, double seconds);
  void note_draft(const Sequence& sequence, int32_t token, StepEvents& events);

  SchedulerOptions options_;
  KvLedger ledger_;
  std::deque<SequencePtr> waiting_;   // in the order of is_before(), then by index
  std::vector<SequencePtr> running_;  // the same
  std::deque<int32_t> free_slots_;
  std::unique_ptr<DraftPolicy> draft_policy_;  // null: the number of drafts is fixed
  PrefixOrder prefix_order_;                   // of those that decode, where groups are formed
  int64_t step_ = 0;
  SchedulerStats totals_;
};

}  // namespace ll
