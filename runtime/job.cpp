#include "runtime/job.h"

#include <filesystem>

#include "runtime/api/batch_texts.h"
#include "runtime/batch/replicated_batch.h"
#include "runtime/bench/bench_grids.h"
#include "runtime/bench/replicated_bench.h"
#include "runtime/rank/rank.h"

namespace ll {
namespace {

// The engine of a replica's first rank.
Engine engine_of(Rank& rank, const EngineConfig& config, EngineEvents events) {
  return Engine(rank.scheduler(), config.scheduler.async, rank.runner(), rank.grid().replica(),
                rank.watchdog(), std::move(events));
}

void run_batch(Rank& rank, const EngineConfig& config, LineReader& input, OutputFile& output) {
  BatchTexts texts(config, rank.files(), rank.limits().max_length);
  Mailbox mailbox(rank.grid().leaders());
  ReplicatedBatch replicas(config, texts.context, mailbox, output);
  bool is_alone = rank.grid().shape().dp == 1;
  BatchJob job(config, texts.context, [&](int64_t line, std::string_view record) {
    is_alone ? output.write_line(record) : replicas.done(line, record);
  });
  Engine engine = engine_of(rank, config, job.events());
  is_alone ? job.run(engine, input, output) : replicas.run(engine, job, input);
}

// Any rank but 0.
void follow_batch(Rank& rank, const EngineConfig& config) {
  const MpiGroup& replica = rank.grid().replica();
  if (replica.rank() > 0) return run_worker(rank.runner(), replica, rank.watchdog());
  BatchTexts texts(config, rank.files(), rank.limits().max_length);
  Mailbox mailbox(rank.grid().leaders());
  RemoteReplica remote(config, texts.context, mailbox);
  BatchJob job(config, texts.context,
               [&](int64_t line, std::string_view record) { remote.done(line, record); });
  Engine engine = engine_of(rank, config, job.events());
  remote.run(engine, job);
}

void batch(const EngineConfig& config, const MpiEnvironment& mpi) {
  if (config.job.input.empty() || config.job.output.empty())
    fail_usage("job.{} is missing; give a path, or - for standard {}",
               config.job.input.empty() ? "input" : "output",
               config.job.input.empty() ? "input" : "output");
  auto loaded = [&](Rank& rank) { rank.load(rank.wanted_grid()); };
  if (mpi.world().rank() > 0) {
    Rank rank(config, mpi);
    loaded(rank);
    return follow_batch(rank, config);
  }
  // What cannot be read or written shows before the model is loaded.
  LineReader input(config.job.input, config.job.max_line_bytes);
  std::error_code none;
  if (std::filesystem::is_regular_file(config.job.input, none) &&
      std::filesystem::equivalent(config.job.input, config.job.output, none))
    fail_usage("job.output: {} is job.input, too", config.job.output);
  OutputFile output(config.job.output, config.job.overwrite);
  Rank rank(config, mpi);
  loaded(rank);
  run_batch(rank, config, input, output);
}

void print_trace(StepTrace& trace, const std::string& path) {
  StepTrace::Summary s = trace.summary();
  fmt::print("Trace: {} steps, device busy {:.2f} ms, idle {:.2f} ms ({:.2f}%)\n", s.steps,
             s.busy_ms, s.idle_ms, 100 * s.idle_share());
  trace.write(path);
}

BenchSetup bench_setup(Rank& rank, const EngineConfig& config, const DeviceRates& rates) {
  const GridShape& grid = rank.grid().shape();
  BenchModel model =
      bench_model(rank.model(), config.model.path, rank.dtype(), grid.replica_size());
  model.replicas = grid.dp;
  return {.model = model,
          .rates = rates,
          .num_kv_positions = rank.budget().num_pages * rank.budget().page_span,
          .max_length = rank.limits().max_length,
          .weights_loaded = rank.weights_loaded()};
}

// On the first rank of each replica; rank 0 prints what came out.
void measure(Rank& rank, const EngineConfig& config, const DeviceRates& rates) {
  BenchJob job(config, bench_setup(rank, config, rates));
  Engine engine = engine_of(rank, config, job.events());
  bool is_first = rank.world().rank() == 0;
  std::optional<StepTrace> trace;
  if (!config.bench.trace.empty() && is_first)
    trace.emplace(rank.backend(), rank.stream(), static_cast<size_t>(config.bench.trace_steps));
  auto on_warm = [&] { rank.runner().record_steps(trace ? &*trace : nullptr); };
  BenchReport result;
  if (rank.grid().shape().dp > 1) {
    ReplicatedBench replicas(config, job, rank.grid().leaders());
    result = report(bench_setup(rank, config, rates).model, replicas.run(engine, on_warm));
  } else {
    result = job.run(engine, on_warm);
  }
  rank.runner().record_steps(nullptr);
  if (!is_first) return;
  print_report(result, config.bench.output_json);
  if (trace) print_trace(*trace, config.bench.trace);
}

void bench(const EngineConfig& config, const MpiEnvironment& mpi) {
  using Kind = EngineConfig::Bench::Kind;
  if (config.grid && config.grid->dp > 1 && !config.can_replicate())
    fail_usage("grid.dp = {}: of the benchmarks only throughput runs on several replicas",
               config.grid->dp);
  Rank rank(config, mpi);
  if (config.bench.kind == Kind::kGrids) return bench_grids(rank, config);
  GridShape grid = rank.wanted_grid();
  DeviceRates rates;
  if (config.bench.kind != Kind::kStartup) {
    // All ranks at the same time, since those of a CPU share its memory; while there is room.
    mpi.world().barrier();
    rates = measure_rates(rank.backend(), rank.stream());
  }
  rank.load(grid);
  const MpiGroup& replica = rank.grid().replica();
  replica.rank() > 0 ? run_worker(rank.runner(), replica, rank.watchdog())
                     : measure(rank, config, rates);
}

}  // namespace

void run_job(const EngineConfig& config, const MpiEnvironment& mpi) {
  config.job.type == EngineConfig::JobType::kBench ? bench(config, mpi) : batch(config, mpi);
}

}  // namespace ll
