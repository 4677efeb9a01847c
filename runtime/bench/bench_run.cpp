#include "runtime/bench/bench_run.h"

#include <algorithm>

namespace ll {

SamplingParams params_of(const BenchSampling& sampling) {
  SamplingParams p;
  p.temperature = static_cast<float>(sampling.temperature);
  p.top_p = static_cast<float>(sampling.top_p);
  p.top_k = sampling.top_k;
  if (sampling.top_p == 0) p.top_p = 1, p.top_k = 1;  // as of a request
  p.min_p = static_cast<float>(sampling.min_p);
  p.repetition_penalty = static_cast<float>(sampling.repetition_penalty);
  p.presence_penalty = static_cast<float>(sampling.presence_penalty);
  p.frequency_penalty = static_cast<float>(sampling.frequency_penalty);
  p.logprobs = sampling.logprobs;
  p.ignore_eos = true;
  return p;
}

BenchRun::BenchRun(const BenchSetup& setup, const BenchSampling& sampling)
    : setup_(setup), params_(params_of(sampling)) {}

void BenchRun::begin(const SharedStart& shared, int32_t n) {
  shared_ = shared;
  n_ = n;
  num_tokens_.clear();
  seen_ = {.start = setup_.now()};
}

void BenchRun::submit(ReplicaPool& pool, const BenchRequest& r) {
  auto length = static_cast<int64_t>(r.prompt.size()) + r.output_len;
  check(length <= setup_.max_length,
        "a prompt of {} tokens and {} of output exceed the {} positions of a sequence",
        r.prompt.size(), r.output_len, setup_.max_length);
  auto key = static_cast<int64_t>(num_tokens_.size()) / n_;
  CompletionRequest request{.prompts = {r.prompt}, .params = params_, .stream = true};
  request.params.n = n_;
  request.params.max_tokens = r.output_len;
  request.params.seed = static_cast<uint64_t>(++num_submitted_);
  num_tokens_.resize(num_tokens_.size() + static_cast<size_t>(n_));
  for (auto& to_run : desk_.open(key, std::move(request))) {
    pool.check_fits(*to_run);
    pool.submit(std::move(to_run));
  }
}

void BenchRun::take(StepEvents events) {
  for (const StepWork& step : events.steps) {
    // Replicas work at the same time.
    seen_.floor_seconds +=
        step_floor(setup_.model, setup_.rates, step, shared_).seconds() / setup_.model.replicas;
    seen_.num_steps += step.steps;
  }
  Desk::Taken taken = desk_.take(std::move(events));
  check(taken.failures.empty(), "{}", kNoTokenDrawn);
  BenchClock::time_point now = setup_.now();
  for (const Delta& delta : taken.deltas) {
    size_t index = num_tokens_[static_cast<size_t>(delta.key * n_ + delta.choice)]++;
    seen_.arrivals.resize(std::max(seen_.arrivals.size(), index + 1));
    seen_.arrivals[index] = now;
  }
  for (const Answer& answer : taken.answers) {
    ensure(answer.usage.completion_tokens == n_ * answer.request.params.max_tokens,
           "a benchmark's answer has not the length that was asked for");
    seen_.prompt_tokens += answer.usage.prompt_tokens;
    seen_.cached_tokens += answer.usage.cached_tokens;
    seen_.output_tokens += answer.usage.completion_tokens;
  }
}

const BenchRun::Seen& BenchRun::run_all(ReplicaPool& pool,
                                        const std::vector<BenchRequest>& requests,
                                        const SharedStart& shared, int32_t n) {
  begin(shared, n);
  for (const BenchRequest& r : requests) submit(pool, r);
  while (pool.has_work()) take(pool.step());
  seen_.seconds = std::chrono::duration<double>(setup_.now() - seen_.start).count();
  return seen_;
}

}  // namespace ll
