#include "runtime/job.h"

#include <filesystem>

#include "runtime/api/batch_texts.h"
#include "runtime/batch/replicated_batch.h"
#include "runtime/bench/bench_grids.h"
#include "runtime/bench/replicated_bench.h"
#include "runtime/rank/local_model.h"

namespace ll {
namespace {

// The engine of a replica's first rank.
Engine engine_of(LocalModel& local, const EngineConfig& config, EngineEvents events) {
  return Engine(local.scheduler(), config.scheduler.async, local.runner(), local.grid().replica(),
                local.watchdog(), std::move(events));
}

void run_batch(LocalModel& local, const EngineConfig& config, LineReader& input,
               OutputFile& output) {
  BatchTexts texts(config, local.files(), local.limits().max_length);
  Mailbox mailbox(local.grid().leaders());
  ReplicatedBatch replicas(config, texts.context, mailbox, output);
  bool is_alone = local.grid().shape().dp == 1;
  BatchJob job(config, texts.context, [&](int64_t line, std::string_view record) {
    is_alone ? output.write_line(record) : replicas.done(line, record);
  });
  Engine engine = engine_of(local, config, job.events());
  is_alone ? job.run(engine, input, output) : replicas.run(engine, job, input);
}

// Any rank but 0.
void follow_batch(LocalModel& local, const EngineConfig& config) {
  const MpiGroup& replica = local.grid().replica();
  if (replica.rank() > 0) return run_worker(local.runner(), replica, local.watchdog());
  BatchTexts texts(config, local.files(), local.limits().max_length);
  Mailbox mailbox(local.grid().leaders());
  RemoteReplica remote(config, texts.context, mailbox);
  BatchJob job(config, texts.context,
               [&](int64_t line, std::string_view record) { remote.done(line, record); });
  Engine engine = engine_of(local, config, job.events());
  remote.run(engine, job);
}

void batch(const EngineConfig& config, const MpiEnvironment& mpi) {
  if (config.job.input.empty() || config.job.output.empty())
    fail_usage("job.{} is missing; give a path, or - for standard {}",
               config.job.input.empty() ? "input" : "output",
               config.job.input.empty() ? "input" : "output");
  auto loaded = [&](LocalModel& local) { local.load(local.wanted_grid()); };
  if (mpi.world().rank() > 0) {
    LocalModel local(config, mpi);
    loaded(local);
    return follow_batch(local, config);
  }
  // What cannot be read or written shows before the model is loaded.
  LineReader input(config.job.input, config.job.max_line_bytes);
  std::error_code none;
  if (std::filesystem::is_regular_file(config.job.input, none) &&
      std::filesystem::equivalent(config.job.input, config.job.output, none))
    fail_usage("job.output: {} is job.input, too", config.job.output);
  OutputFile output(config.job.output, config.job.overwrite);
  LocalModel local(config, mpi);
  loaded(local);
  run_batch(local, config, input, output);
}

void print_trace(StepTrace& trace, const std::string& path) {
  StepTrace::Summary s = trace.summary();
  fmt::print("Trace: {} steps, device busy {:.2f} ms, idle {:.2f} ms ({:.2f}%)\n", s.steps,
             s.busy_ms, s.idle_ms, 100 * s.idle_share());
  trace.write(path);
}

BenchSetup bench_setup(LocalModel& local, const EngineConfig& config, const DeviceRates& rates) {
  const GridShape& grid = local.grid().shape();
  BenchModel model =
      bench_model(local.model(), config.model.path, local.dtype(), grid.replica_size());
  model.replicas = grid.dp;
  return {.model = model,
          .rates = rates,
          .num_kv_positions = local.budget().num_pages * local.budget().page_span,
          .max_length = local.limits().max_length,
          .weights_loaded = local.weights_loaded()};
}

// On the first rank of each replica; rank 0 prints what came out.
void measure(LocalModel& local, const EngineConfig& config, const DeviceRates& rates) {
  BenchJob job(config, bench_setup(local, config, rates));
  Engine engine = engine_of(local, config, job.events());
  bool is_first = local.world().rank() == 0;
  std::optional<StepTrace> trace;
  if (!config.bench.trace.empty() && is_first)
    trace.emplace(local.backend(), local.stream(), static_cast<size_t>(config.bench.trace_steps));
  auto on_warm = [&] { local.runner().record_steps(trace ? &*trace : nullptr); };
  BenchReport result;
  if (local.grid().shape().dp > 1) {
    ReplicatedBench replicas(config, job, local.grid().leaders());
    result = report(bench_setup(local, config, rates).model, replicas.run(engine, on_warm));
  } else {
    result = job.run(engine, on_warm);
  }
  local.runner().record_steps(nullptr);
  if (!is_first) return;
  print_report(result, config.bench.output_json);
  if (trace) print_trace(*trace, config.bench.trace);
}

void bench(const EngineConfig& config, const MpiEnvironment& mpi) {
  using Kind = EngineConfig::Bench::Kind;
  if (config.grid && config.grid->dp > 1 && !config.can_replicate())
    fail_usage("grid.dp = {}: of the benchmarks only throughput runs on several replicas",
               config.grid->dp);
  LocalModel local(config, mpi);
  if (config.bench.kind == Kind::kGrids) return bench_grids(local, config);
  GridShape grid = local.wanted_grid();
  DeviceRates rates;
  if (config.bench.kind != Kind::kStartup) {
    // All ranks at the same time, since those of a CPU share its memory; while there is room.
    mpi.world().barrier();
    rates = measure_rates(local.backend(), local.stream());
  }
  local.load(grid);
  const MpiGroup& replica = local.grid().replica();
  replica.rank() > 0 ? run_worker(local.runner(), replica, local.watchdog())
                     : measure(local, config, rates);
}

}  // namespace

void run_job(const EngineConfig& config, const MpiEnvironment& mpi) {
  config.job.type == EngineConfig::JobType::kBench ? bench(config, mpi) : batch(config, mpi);
}

}  // namespace ll
