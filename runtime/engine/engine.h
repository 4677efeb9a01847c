#pragma once
// The step loop. Rank 0 of a replica runs an Engine: it plans, sends the plan to the other ranks,
// runs it, and hands out tokens one step later. The others are in run_worker().
#include <deque>

#include "runtime/engine/model_runner.h"
#include "runtime/engine/plan_channel.h"
#include "runtime/process/watchdog.h"
#include "runtime/schedule/scheduler.h"
#include "runtime/schedule/step_work.h"

namespace ll {

// What the owner of a request hears. Called inside Engine::step().
struct EngineEvents {
  // A new token, the last of sequence.tokens; logprob only if asked for. Returns whether a stop
  // string ends the sequence.
  std::function<bool(Sequence&, const TokenLogprob*)> on_token;
  // Logprobs of prompt tokens [first, first + n) of a sequence that asked for them; again from the
  // start after a preemption.
  std::function<void(Sequence&, int32_t first, std::vector<TokenLogprob>)> on_prompt_logprobs;
  Scheduler::OnFinish on_finish;
};

class Engine {
 public:
  Engine(const SchedulerOptions& options, bool async, ModelRunner& runner, const MpiGroup& replica,
         Watchdog& watchdog, EngineEvents events);
  // Tells the workers to stop, unless the program is ending by an exception.
  ~Engine();

  void add(std::shared_ptr<const Request> request) { scheduler_.add(std::move(request)); }
  void abort(int64_t request_id) { scheduler_.abort(request_id, events_.on_finish); }

  bool has_work() const { return scheduler_.has_work() || !in_flight_.empty(); }
  int64_t num_waiting() const { return scheduler_.num_waiting(); }
  SchedulerStats stats() const { return scheduler_.stats(); }
  // What was run so far.
  StepWork totals() const { return totals_; }

  // Plans and launches a step, and hands out the tokens of the one before it. Without work: a sign
  // of life to the workers.
  void step();

 private:
  void commit_oldest();

  Scheduler scheduler_;
  size_t depth_;  // steps in flight while the next is planned
  ModelRunner& runner_;
  PlanChannel channel_;
  Watchdog& watchdog_;
  EngineEvents events_;
  std::deque<PlannedStep> in_flight_;
  StepWork totals_;
};

// Runs plans until rank 0 says stop.
void run_worker(ModelRunner& runner, const MpiGroup& replica, Watchdog& watchdog);

}  // namespace ll
