#pragma once
// Runs a recording without scheduler and requests, and compares what is drawn. Only where
// options.collects; the other ranks of the replica are in run_worker().
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "runtime/engine/model_runner.h"
#include "runtime/engine/plan_channel.h"
#include "runtime/engine/plan_check.h"
#include "runtime/engine/plan_file.h"
#include "runtime/engine/step_consensus.h"
#include "runtime/process/watchdog.h"

namespace ll {

struct ReplayReport {
  int64_t steps = 0;   // that were run
  int64_t tokens = 0;  // that were compared, and are equal
  double seconds = 0;
  std::string difference;  // the first; empty: there is none
};

class PlanReplay {
 public:
  // All outlive this.
  PlanReplay(ModelRunner& runner, const MpiGroup& replica, Watchdog& watchdog,
             const PlanLimits& limits)
      : runner_(runner),
        channel_(replica),
        consensus_(replica, watchdog.words().who()),
        watchdog_(watchdog),
        limits_(limits) {}

  // Runs it to its end, its fault, or the first difference; then the workers are told to stop.
  // Throws Error for a plan that this runner cannot run.
  ReplayReport run(PlanRecording& recording);

 private:
  using Drawn = std::pair<int32_t, std::vector<int32_t>>;  // step, tokens

  void launch(StepPlan plan);
  void collect();
  void compare();

  ModelRunner& runner_;
  PlanChannel channel_;
  StepConsensus consensus_;
  Watchdog& watchdog_;
  PlanLimits limits_;
  std::deque<StepPlan> in_flight_;
  std::deque<Drawn> recorded_, drawn_;  // of steps that are not compared yet
  std::deque<StepPlan> collected_;      // the plans of drawn_
  ReplayReport report_;
};

}  // namespace ll
