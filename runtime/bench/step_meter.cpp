#include "runtime/bench/step_meter.h"

#include <algorithm>

namespace ll {
namespace {

constexpr int kDefaultRepeats = 5;

double seconds_between(BenchClock::time_point a, BenchClock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

SchedulerOptions options_of(const LocalModel& local, bool gathered) {
  SchedulerOptions options = local.scheduler();
  options.radix = false;  // each prompt is computed
  options.gather_tokens = gathered ? 1 : 0;
  return options;
}

}  // namespace

GridWork GridWork::of(const EngineConfig& config) {
  const auto& b = config.bench;
  int64_t tokens = config.scheduler.max_num_batched_tokens,
          length = std::min(b.data.input_len, tokens);
  return {.prompts = std::min<int64_t>(tokens / length, config.scheduler.max_num_seqs),
          .prompt_len = length,
          .batch = b.batch_size,
          .context = b.data.input_len,
          .steps = static_cast<int>(std::max<int64_t>(b.data.output_len, 3)),
          .repeats = b.num_iters > 0 ? b.num_iters : kDefaultRepeats};
}

// Prompts come in steps of `step_tokens`; the sequences that were first must not end before the
// last one has its tokens.
int64_t GridWork::output_len(int64_t sequences, int64_t step_tokens) const {
  int64_t prompt_steps = sequences * (context + 1) / std::max<int64_t>(step_tokens - sequences, 1);
  return steps + prompt_steps + 4;
}

KvWish GridWork::kv_wish(const RunnerOptions& limits) const {
  int64_t output = output_len(batch, limits.max_num_batched_tokens);
  return {std::max(batch, prompts), context + output + 1};
}

StepMeter::StepMeter(LocalModel& local, const EngineConfig& config, const GridWork& work,
                     bool gathered)
    : local_(local),
      work_(work),
      setup_{.rates = {1, 1}, .max_length = local.limits().max_length},
      run_(setup_, config.bench.sampling),
      engine_(options_of(local, gathered), config.scheduler.async, local.runner(),
              local.grid().replica(), local.watchdog()),
      pool_(engine_) {}

std::vector<BenchRequest> StepMeter::requests(int64_t count, int64_t length, int64_t output_len) {
  return make_dataset(
      {.num_prompts = count, .input_len = length, .output_len = output_len, .seed = next_seed_++},
      static_cast<int32_t>(local_.model().vocab_size));
}

double StepMeter::slowest(std::vector<double> seconds) const {
  std::sort(seconds.begin(), seconds.end());
  double median = seconds[seconds.size() / 2];
  constexpr double kNano = 1e9;
  return static_cast<double>(local_.grid().leaders().max(static_cast<int64_t>(median * kNano))) /
         kNano;
}

double StepMeter::prefill() {
  std::vector<double> seconds;
  for (int i = 0; i <= work_.repeats; ++i) {
    auto prompts = requests(work_.prompts, work_.prompt_len, 1);
    local_.grid().leaders().barrier();
    const BenchRun::Seen& seen = run_.run_all(pool_, prompts);
    if (i > 0) seconds.push_back(seconds_between(seen.start, seen.arrivals[0]));
  }
  return slowest(std::move(seconds));
}

double StepMeter::decode(int64_t sequences) {
  int64_t output = work_.output_len(sequences, local_.limits().max_num_batched_tokens);
  auto prompts = requests(sequences, work_.context, output);
  local_.grid().leaders().barrier();
  const auto& arrivals = run_.run_all(pool_, prompts).arrivals;
  std::vector<double> seconds;
  for (size_t k = 2; k < static_cast<size_t>(work_.steps) + 2; ++k)
    seconds.push_back(seconds_between(arrivals[k - 1], arrivals[k]));
  return slowest(std::move(seconds));
}

}  // namespace ll
