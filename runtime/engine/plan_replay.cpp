#include "runtime/engine/plan_replay.h"

#include <chrono>

namespace ll {
namespace {

// "step 7: sample 2 of 5, of slot 3 at position 91: drew 17, recorded 18"
std::string difference_of(const StepPlan& plan, const std::vector<int32_t>& drawn,
                          const std::vector<int32_t>& recorded) {
  size_t i = 0;
  while (i < drawn.size() && i < recorded.size() && drawn[i] == recorded[i]) ++i;
  if (i == drawn.size() || i == recorded.size() || i >= plan.samples.size())
    return fmt::format("step {}: drew {} tokens, recorded {}", plan.id, drawn.size(),
                       recorded.size());
  const StepPlan::Sample& sample = plan.samples[i];
  return fmt::format("step {}: sample {} of {}, of slot {} at position {}: drew {}, recorded {}",
                     plan.id, i + 1, drawn.size(), sample.slot, sample.position, drawn[i],
                     recorded[i]);
}

}  // namespace

ReplayReport PlanReplay::run(PlanRecording& recording) {
  constexpr size_t kDepth = 1;  // as an engine has steps in flight
  auto begin = std::chrono::steady_clock::now();
  while (auto entry = recording.next()) {
    if (entry->plan) {
      launch(std::move(*entry->plan));
      while (in_flight_.size() > kDepth) collect();
    } else {
      recorded_.emplace_back(entry->step, std::move(entry->tokens));
    }
    compare();
    if (!report_.difference.empty()) break;
  }
  while (!in_flight_.empty()) collect();
  compare();
  channel_.send({.kind = StepPlan::Kind::kIdle});
  consensus_.flush();
  channel_.send({.kind = StepPlan::Kind::kStop});
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report_;
}

void PlanReplay::launch(StepPlan plan) {
  check_plan(plan, limits_);
  watchdog_.begin_step(plan.id);
  channel_.send(plan);
  runner_.launch(plan);
  consensus_.launched(plan.id, channel_.checksum());
  ++report_.steps;
  in_flight_.push_back(std::move(plan));
}

void PlanReplay::collect() {
  drawn_.emplace_back(in_flight_.front().id, runner_.collect().tokens);
  consensus_.drew(drawn_.back().second);
  collected_.push_back(std::move(in_flight_.front()));
  in_flight_.pop_front();
}

// What was recorded of a step comes before or after it is done here.
void PlanReplay::compare() {
  while (report_.difference.empty() && !recorded_.empty() && !drawn_.empty()) {
    const auto& [step, tokens] = drawn_.front();
    check(recorded_.front().first == step,
          "recording: the tokens of step {} stand where those of "
          "step {} should",
          recorded_.front().first, step);
    if (tokens == recorded_.front().second)
      report_.tokens += static_cast<int64_t>(tokens.size());
    else
      report_.difference = difference_of(collected_.front(), tokens, recorded_.front().second);
    recorded_.pop_front();
    drawn_.pop_front();
    collected_.pop_front();
  }
}

}  // namespace ll
