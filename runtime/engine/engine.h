#pragma once
// The step loop. Rank 0 of a replica runs an Engine: it plans, sends the plan to the other ranks,
// runs it, and returns its tokens one step later. The others are in run_worker().
#include <deque>
#include <memory>
#include <optional>

#include "runtime/engine/energy_share.h"
#include "runtime/engine/model_runner.h"
#include "runtime/engine/plan_channel.h"
#include "runtime/engine/step_consensus.h"
#include "runtime/process/watchdog.h"
#include "runtime/schedule/scheduler.h"

namespace ll {

class PlanRecorder;

class Engine {
 public:
  Engine(const SchedulerOptions& options, bool async, ModelRunner& runner, const MpiGroup& replica,
         Watchdog& watchdog);
  // Tells the workers to stop, unless the program is ending by an exception.
  ~Engine();

  // Scheduler's; ends are told between steps, and cost no row when they are told before the next.
  void check_fits(const Request& request) const { scheduler_.check_fits(request); }
  void add(std::shared_ptr<const Request> request) { scheduler_.add(std::move(request)); }
  void end(SequenceId sequence) { scheduler_.end(sequence); }
  void cancel(int64_t request) { scheduler_.cancel(request); }

  // `meter`, which outlives the engine, is that of this rank's device, which stands for those of
  // the replica; null: joules are not known. `shares`: steps say whose their costs are.
  void count_costs(const EnergyMeter* meter, bool shares);

  // Writes down the plans from here on, and what they draw; the recorder outlives the engine.
  void record_to(PlanRecorder* recorder) { recorder_ = recorder; }

  bool has_work() const { return scheduler_.has_work() || !in_flight_.empty(); }
  int64_t num_waiting() const { return scheduler_.num_waiting(); }
  SchedulerStats stats() const { return scheduler_.stats(); }
  // Those of this replica, where its runners time steps; some steps behind.
  const GroupTimes& times() const { return consensus_.times(); }

  // Plans and launches a step, and returns what the one before it brought. Without work: a sign of
  // life to the workers.
  StepEvents step();

 private:
  void launch(PlannedStep step);
  StepEvents commit_oldest();
  void rest();
  StepCost cost_of(const PlannedStep& step, double seconds);

  Scheduler scheduler_;
  size_t depth_;  // steps in flight while the next is planned
  ModelRunner& runner_;
  PlanChannel channel_;
  StepConsensus consensus_;
  Watchdog& watchdog_;
  std::deque<PlannedStep> in_flight_;
  int num_devices_;
  bool shares_costs_ = false;
  std::optional<EnergyShare> energy_;
  PlanRecorder* recorder_ = nullptr;
};

// Runs plans until rank 0 says stop.
void run_worker(ModelRunner& runner, const MpiGroup& replica, Watchdog& watchdog);

}  // namespace ll
