#include "runtime/engine/engine.h"

#include <chrono>
#include <exception>
#include <thread>

#include "runtime/engine/plan_file.h"
#include "runtime/process/injected_fault.h"

namespace ll {

namespace {

void inject_faults(int32_t step) {
  check(!is_fault_due("device", step), "the device failed: a test asked for it");
  if (is_fault_due("hang", step)) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace

Engine::Engine(const SchedulerOptions& options, bool async, ModelRunner& runner,
               const MpiGroup& replica, Watchdog& watchdog)
    : scheduler_(options),
      depth_(async ? 1 : 0),
      runner_(runner),
      channel_(replica),
      consensus_(replica, watchdog.words().who()),
      watchdog_(watchdog),
      num_devices_(replica.size()) {}

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
    rest();
    return {};
  }
  StepEvents events;
  if (!is_empty) {
    events.steps.push_back(work_of(next.plan));
    launch(std::move(next));
  }
  while (in_flight_.size() > (is_empty ? 0 : depth_)) events.append(commit_oldest());
  if (!has_work()) rest();  // before anybody is told of tokens that the ranks may not agree on
  return events;
}

void Engine::launch(PlannedStep step) {
  watchdog_.begin_step(step.plan.id);
  channel_.send(step.plan);
  if (recorder_) recorder_->add(step.plan);
  inject_faults(step.plan.id);
  runner_.launch(step.plan);
  consensus_.launched(step.plan.id, channel_.checksum());
  in_flight_.push_back(std::move(step));
}

StepEvents Engine::commit_oldest() {
  PlannedStep step = std::move(in_flight_.front());
  in_flight_.pop_front();
  StepResult result = runner_.collect();
  if (recorder_) recorder_->add(step.plan.id, result.tokens);
  consensus_.drew(result.tokens, result.time);
  StepCost cost = cost_of(step, result.time.seconds);
  StepEvents events = scheduler_.commit(std::move(step), std::move(result));
  events.costs.push_back(std::move(cost));
  return events;
}

void Engine::count_costs(const EnergyMeter* meter, bool shares) {
  shares_costs_ = shares;
  if (meter) energy_.emplace(*meter);
}

StepCost Engine::cost_of(const PlannedStep& step, double seconds) {
  Cost one{.device_seconds = seconds, .joules = energy_ ? energy_->of_step(seconds) : 0};
  StepCost cost{.cost = one * num_devices_};
  cost.cost.computed_tokens = step.plan.num_tokens();
  if (shares_costs_) cost.shares = step.shares();
  return cost;
}

void Engine::rest() {
  channel_.send({.kind = StepPlan::Kind::kIdle});
  consensus_.flush();
  watchdog_.rest();
}

namespace {

// A rank that follows rank 0's plans.
class Follower {
 public:
  Follower(ModelRunner& runner, const MpiGroup& replica, Watchdog& watchdog)
      : runner_(runner),
        channel_(replica),
        consensus_(replica, watchdog.words().who()),
        watchdog_(watchdog) {}

  void run() {
    rest();
    for (;;) {
      StepPlan plan = channel_.receive();
      if (plan.kind == StepPlan::Kind::kStop) return;
      plan.kind == StepPlan::Kind::kIdle ? rest() : launch(plan);
    }
  }

 private:
  // Tokens of so many steps ago are there: rank 0 has used them.
  static constexpr size_t kLag = 3;

  void rest() {
    note_tokens(0);
    consensus_.flush();
    watchdog_.rest();
  }

  void launch(const StepPlan& plan) {
    watchdog_.begin_step(plan.id);
    inject_faults(plan.id);
    runner_.launch(plan);
    consensus_.launched(plan.id, channel_.checksum());
    note_tokens(kLag);
  }

  void note_tokens(size_t lag) {
    while (consensus_.num_open() > lag) {
      StepResult drawn = runner_.collect_tokens();
      if (!drawn.tokens.empty() && is_fault_due("tokens", consensus_.oldest_open()))
        ++drawn.tokens[0];
      consensus_.drew(drawn.tokens, drawn.time);
    }
  }

  ModelRunner& runner_;
  PlanChannel channel_;
  StepConsensus consensus_;
  Watchdog& watchdog_;
};

}  // namespace

void run_worker(ModelRunner& runner, const MpiGroup& replica, Watchdog& watchdog) {
  Follower(runner, replica, watchdog).run();
}

}  // namespace ll
