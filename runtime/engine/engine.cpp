#include "runtime/engine/engine.h"

#include <exception>

namespace ll {

Engine::Engine(const SchedulerOptions& options, bool async, ModelRunner& runner,
               const MpiGroup& replica, Watchdog& watchdog, EngineEvents events)
    : scheduler_(options),
      depth_(async ? 1 : 0),
      runner_(runner),
      channel_(replica),
      watchdog_(watchdog),
      events_(std::move(events)) {}

Engine::~Engine() {
  if (std::uncaught_exceptions() > 0) return;
  try {
    channel_.send({.kind = StepPlan::Kind::kStop});
  } catch (const Error& e) {
    fmt::print(stderr, "litelang: cannot stop the other ranks: {}\n", e.what());
  }
}

void Engine::step() {
  PlannedStep next = scheduler_.plan();
  bool is_empty = next.is_empty();
  if (is_empty && in_flight_.empty()) {
    channel_.send({.kind = StepPlan::Kind::kIdle});
    watchdog_.rest();
    return;
  }
  if (!is_empty) {
    watchdog_.begin_step(next.plan.id);
    channel_.send(next.plan);
    runner_.launch(next.plan);
    totals_ += work_of(next.plan);
    in_flight_.push_back(std::move(next));
  }
  while (in_flight_.size() > (is_empty ? 0 : depth_)) commit_oldest();
}

void Engine::commit_oldest() {
  PlannedStep step = std::move(in_flight_.front());
  in_flight_.pop_front();
  StepResult result = runner_.collect();
  size_t chunk_index = 0;
  for (const auto& chunk : step.plan.chunks) {
    if (chunk.num_prompt_logprobs < 0) continue;
    Sequence& s = *step.prompt_scores[chunk_index];
    events_.on_prompt_logprobs(s, chunk.first_position + 1,
                               std::move(result.prompt_logprobs[chunk_index]));
    ++chunk_index;
  }
  scheduler_.commit(
      step, result.tokens,
      [&](Sequence& s, size_t i) {
        bool scored = !result.logprobs.empty() && s.params().logprobs >= 0;
        return events_.on_token(s, scored ? &result.logprobs[i] : nullptr);
      },
      events_.on_finish);
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
