#include "runtime/engine/engine.h"

#include <exception>

namespace ll {

Engine::Engine(const SchedulerOptions& options, bool async, ModelRunner& runner,
               const MpiGroup& replica, Watchdog& watchdog)
    : scheduler_(options),
      depth_(async ? 1 : 0),
      runner_(runner),
      channel_(replica),
      watchdog_(watchdog) {}

Engine::~Engine() {
  if (std::uncaught_exceptions() > 0) return;
  try {
    channel_.send({.kind = StepPlan::Kind::kStop});
  } catch (const Error& e) {
    fmt::print(stderr, "litelang: cannot stop the other ranks: {}\n", e.what());
  }
}

StepEvents Engine::step() {
  PlannedStep next = scheduler_.plan();
  bool is_empty = next.is_empty();
  if (is_empty && in_flight_.empty()) {
    bool is_stuck = scheduler_.has_work() && !next.has_preempted;
    check(!is_stuck, "the scheduler can run nothing of what it holds; please report this: {}",
          is_stuck ? scheduler_.describe_state() : "");
    channel_.send({.kind = StepPlan::Kind::kIdle});
    watchdog_.rest();
    return {};
  }
  StepEvents events;
  if (!is_empty) {
    watchdog_.begin_step(next.plan.id);
    channel_.send(next.plan);
    runner_.launch(next.plan);
    events.steps.push_back(work_of(next.plan));
    in_flight_.push_back(std::move(next));
  }
  while (in_flight_.size() > (is_empty ? 0 : depth_)) events.append(commit_oldest());
  return events;
}

StepEvents Engine::commit_oldest() {
  PlannedStep step = std::move(in_flight_.front());
  in_flight_.pop_front();
  return scheduler_.commit(std::move(step), runner_.collect());
}

void run_worker(ModelRunner& runner, const MpiGroup& replica, Watchdog& watchdog) {
  PlanChannel channel(replica);
  watchdog.rest();
  for (;;) {
    StepPlan plan = channel.receive();
    if (plan.kind == StepPlan::Kind::kStop) return;
    if (plan.kind == StepPlan::Kind::kIdle) {
      watchdog.rest();
      continue;
    }
    watchdog.begin_step(plan.id);
    runner.launch(plan);
  }
}

}  // namespace ll
