#include "runtime/bench/bench_run.h"

#include <algorithm>

namespace ll {

void BenchRun::begin(int64_t shared) {
  shared_ = shared;
  seen_ = {.start = setup_.now()};
}

void BenchRun::submit(ReplicaPool& pool, const BenchRequest& r) {
  auto length = static_cast<int64_t>(r.prompt.size()) + r.output_len;
  check(length <= setup_.max_length,
        "a prompt of {} tokens and {} of output exceed the {} positions of a sequence",
        r.prompt.size(), r.output_len, setup_.max_length);
  auto request = std::make_shared<Request>();
  request->id = next_id_++;
  request->prompt = r.prompt;
  request->params.max_tokens = r.output_len;
  request->params.temperature = temperature_;
  request->params.ignore_eos = true;
  request->params.seed = static_cast<uint64_t>(request->id);
  pool.check_fits(*request);
  num_drawn_[request->id] = 0;
  seen_.prompt_tokens += static_cast<int64_t>(r.prompt.size());
  pool.submit(std::move(request));
}

void BenchRun::take(const StepEvents& events) {
  for (const StepWork& step : events.steps) {
    // Replicas work at the same time.
    seen_.floor_seconds +=
        step_floor(setup_.model, setup_.rates, step, shared_).seconds() / setup_.model.replicas;
    seen_.num_steps += step.steps;
  }
  for (const StartedPrompt& s : events.started) seen_.cached_tokens += s.num_cached;
  for (const DrawnToken& t : events.tokens) {
    auto found = num_drawn_.find(t.sequence.request);
    auto index = static_cast<size_t>(found->second++);
    seen_.arrivals.resize(std::max(seen_.arrivals.size(), index + 1));
    seen_.arrivals[index] = setup_.now();
    ++seen_.output_tokens;
    if (t.finish_reason != FinishReason::kNone) num_drawn_.erase(found);
  }
}

const BenchRun::Seen& BenchRun::run_all(ReplicaPool& pool,
                                        const std::vector<BenchRequest>& requests, int64_t shared) {
  begin(shared);
  for (const BenchRequest& r : requests) submit(pool, r);
  while (pool.has_work()) take(pool.step());
  seen_.seconds = std::chrono::duration<double>(setup_.now() - seen_.start).count();
  return seen_;
}

}  // namespace ll
