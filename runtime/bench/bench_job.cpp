#include "runtime/bench/bench_job.h"

#include <algorithm>
#include <cstdint>

#include "base/numbers.h"
#include "kernels/few_rows.h"
#include "runtime/process/launch_clock.h"

namespace ll {
namespace {

constexpr int kLatencyRuns = 30;  // as others take by default
constexpr int64_t kWarmUpPrompt = 512;
constexpr uint64_t kWarmUpSeed = 0x5eed;  // prompts that no benchmark has

double seconds_between(auto a, auto b) { return std::chrono::duration<double>(b - a).count(); }

// Tokens that all prompts begin with.
int64_t common_prefix(const std::vector<BenchRequest>& requests) {
  const auto& first = requests[0].prompt;
  size_t length = requests.size() > 1 ? first.size() : 0;
  for (const BenchRequest& r : requests) {
    length = std::min(length, r.prompt.size());
    length = static_cast<size_t>(
        std::mismatch(first.begin(), first.begin() + static_cast<int64_t>(length), r.prompt.begin())
            .first -
        first.begin());
  }
  return static_cast<int64_t>(length);
}

}  // namespace

BenchJob::BenchJob(const EngineConfig& config, BenchSetup setup)
    : config_(config),
      setup_(std::move(setup)),
      next_seed_(config.bench.data.seed),
      run_(setup_, config.bench.sampling) {}

BenchReport BenchJob::run(ReplicaPool& pool, const std::function<void()>& on_warm) {
  using Kind = EngineConfig::Bench::Kind;
  switch (config_.bench.kind) {
    case Kind::kThroughput:
      return throughput(pool, on_warm);
    case Kind::kLatency:
      return latency(pool, on_warm);
    case Kind::kOneBatch:
      return one_batch(pool, on_warm);
    case Kind::kStartup:
      return startup(pool);
    case Kind::kGrids:
      break;  // bench_grids.h
  }
  return {};
}

std::vector<BenchRequest> BenchJob::dataset() const {
  return make_dataset(config_.bench.data, setup_.model.vocab_size());
}

SharedStart BenchJob::shared_start(const std::vector<BenchRequest>& requests) const {
  const DatasetOptions& data = config_.bench.data;
  bool is_throughput = config_.bench.kind == EngineConfig::Bench::Kind::kThroughput;
  if (is_throughput && data.n > 1) {
    size_t shortest = SIZE_MAX;
    for (const BenchRequest& r : requests) shortest = std::min(shortest, r.prompt.size());
    return {static_cast<int64_t>(shortest), data.n};
  }
  if (!config_.kv_cache.radix) return {};
  if (data.kind == DatasetOptions::Kind::kSharedPrefix && data.num_prefixes > 1)
    return {data.prefix_len, ceil_div(data.num_prompts, data.num_prefixes)};
  return {common_prefix(requests)};
}

const BenchRun::Seen& BenchJob::run_all(ReplicaPool& pool,
                                        const std::vector<BenchRequest>& requests) {
  bool is_throughput = config_.bench.kind == EngineConfig::Bench::Kind::kThroughput;
  return run_.run_all(pool, requests, shared_start(requests),
                      is_throughput ? config_.bench.data.n : 1);
}

// Other prompts each time, so that the radix cache knows none of them.
std::vector<BenchRequest> BenchJob::next_batch() {
  const auto& b = config_.bench;
  return make_dataset({.num_prompts = b.batch_size,
                       .input_len = b.data.input_len,
                       .output_len = b.data.output_len,
                       .seed = next_seed_++},
                      setup_.model.vocab_size());
}

bool BenchJob::warms_up() const {
  return config_.bench.kind == EngineConfig::Bench::Kind::kThroughput &&
         config_.bench.num_iters_warmup > 0;
}

void BenchJob::warm_up(ReplicaPool& pool) {
  int64_t longest = std::max<int64_t>(std::min(setup_.max_length, setup_.num_kv_positions) - 2, 1);
  warm_up_decoding(pool, longest, 0);
  if (int64_t shared = shared_start(dataset()).positions; shared > 0 && 2 * shared < longest)
    warm_up_decoding(pool, longest, shared);
  run_.run_all(pool, prompts_of_full_step(longest));
}

void BenchJob::warm_up_decoding(ReplicaPool& pool, int64_t longest, int64_t shared) {
  auto requests = make_dataset({.kind = DatasetOptions::Kind::kSharedPrefix,
                                .num_prompts = config_.scheduler.max_num_seqs,
                                .input_len = 2,
                                .prefix_len = shared,
                                .seed = kWarmUpSeed},
                               setup_.model.vocab_size());
  // Buckets of one row and of two are for rows alone, those of groups have more; those of many are
  // 16 wide or wider.
  int64_t each = shared > 0 ? 1 : 2;
  auto num_requests = static_cast<int64_t>(requests.size());
  for (int64_t i = 0; i < num_requests; ++i) {
    int64_t steps = each * std::min(i, kFewRows) + 2 * (std::max(i - kFewRows, int64_t{0}) / 16);
    requests[static_cast<size_t>(i)].output_len =
        static_cast<int32_t>(std::min(4 + steps, longest - shared));
  }
  run_.run_all(pool, requests);
}

// Prompts that fill a step, so that the code of such steps is loaded, too.
std::vector<BenchRequest> BenchJob::prompts_of_full_step(int64_t longest) const {
  int64_t length = std::min(longest, kWarmUpPrompt),
          tokens = config_.scheduler.max_num_batched_tokens;
  return make_dataset({.num_prompts = ceil_div(tokens, length),
                       .input_len = length,
                       .output_len = 1,
                       .seed = kWarmUpSeed},
                      setup_.model.vocab_size());
}

BenchReport BenchJob::throughput(ReplicaPool& pool, const std::function<void()>& on_warm) {
  auto requests = dataset();
  on_warm();
  const BenchRun::Seen& run = run_all(pool, requests);
  return report(setup_.model,
                ThroughputResult{.num_requests = static_cast<int64_t>(requests.size()),
                                 .prompt_tokens = run.prompt_tokens,
                                 .output_tokens = run.output_tokens,
                                 .cached_tokens = run.cached_tokens,
                                 .num_steps = run.num_steps,
                                 .seconds = run.seconds,
                                 .floor_seconds = run.floor_seconds,
                                 .replicas_busy = pool.busy_shares()});
}

BenchReport BenchJob::latency(ReplicaPool& pool, const std::function<void()>& on_warm) {
  const auto& b = config_.bench;
  LatencyResult result{b.batch_size, b.data.input_len, b.data.output_len, {}, 0};
  for (int i = 0; i < b.num_iters_warmup; ++i) run_all(pool, next_batch());
  on_warm();
  int num_runs = b.num_iters > 0 ? b.num_iters : kLatencyRuns;
  for (int i = 0; i < num_runs; ++i) {
    const BenchRun::Seen& run = run_all(pool, next_batch());
    result.seconds.push_back(run.seconds);
    result.floor_seconds += run.floor_seconds / num_runs;
  }
  return report(setup_.model, result);
}

// The prompts of the batch in one step, where max_num_batched_tokens allows it, then one decode
// step a token. A step's time is between the last sequence's tokens; with speculation, where tokens
// come several at a time, it is the mean of a token's.
BenchReport BenchJob::one_batch(ReplicaPool& pool, const std::function<void()>& on_warm) {
  const auto& b = config_.bench;
  int64_t in = b.data.input_len, out = b.data.output_len, positions = b.batch_size * (in + out - 1);
  check(positions <= setup_.num_kv_positions,
        "a batch of {} x ({} + {}) tokens needs {} KV positions, but there are {}; lower "
        "bench.batch_size or the lengths, or raise kv_cache.memory_bytes",
        b.batch_size, in, out, positions, setup_.num_kv_positions);
  OneBatchResult result{.batch_size = b.batch_size, .input_len = in, .output_len = out};
  result.prefill_floor =
      step_floor(setup_.model, setup_.rates, StepWork::prefill(b.batch_size, in));
  result.decode_floor =
      step_floor(setup_.model, setup_.rates, StepWork::decode(b.batch_size, in + out / 2 - 1));
  for (int i = 0; i < b.num_iters_warmup; ++i) run_all(pool, next_batch());
  on_warm();
  for (int i = 0; i < std::max(b.num_iters, 1); ++i) {
    const BenchRun::Seen& run = run_all(pool, next_batch());
    result.prefill_seconds.push_back(seconds_between(run.start, run.arrivals[0]));
    result.total_seconds.push_back(run.seconds);
    size_t num_steps = run.arrivals.size() - 1;
    if (config_.speculative.is_on())
      result.step_seconds.insert(result.step_seconds.end(), num_steps,
                                 seconds_between(run.arrivals[0], run.arrivals[num_steps]) /
                                     static_cast<double>(num_steps));
    else
      for (size_t k = 1; k <= num_steps; ++k)
        result.step_seconds.push_back(seconds_between(run.arrivals[k - 1], run.arrivals[k]));
  }
  return report(setup_.model, result);
}

BenchReport BenchJob::startup(ReplicaPool& pool) {
  StartupResult result{.weights_loaded = setup_.weights_loaded, .ready = seconds_since_launch()};
  run_all(pool, {{{1, 2, 3, 4, 5, 6, 7, 8}, 1}});
  result.first_token = seconds_since_launch();
  return report(setup_.model, result);
}

}  // namespace ll
