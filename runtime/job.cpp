#include "runtime/job.h"

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <utility>

#include "kernels/energy_meter.h"
#include "parallel/mpi/agreement.h"
#include "runtime/api/api_context.h"
#include "runtime/batch/batch_job.h"
#include "runtime/batch/model_fingerprint.h"
#include "runtime/bench/bench_grids.h"
#include "runtime/bench/bench_job.h"
#include "runtime/config/output_conflict.h"
#include "runtime/job_config.h"
#include "runtime/plan_job.h"
#include "runtime/planning/measure_device.h"
#include "runtime/process/last_words.h"
#include "runtime/process/launch_clock.h"
#include "runtime/process/placed_error.h"
#include "runtime/process/stop_request.h"
#include "runtime/process/time_limit.h"
#include "runtime/rank/local_model.h"
#include "runtime/replicas/replica_pool.h"
#include "runtime/server/server.h"

namespace ll {
namespace {

// The engine of a replica's first rank, and what notes down its steps.
struct Leader {
  Leader(LocalModel& local, const EngineConfig& config)
      : meter(is_batch(config) ? EnergyMeter::open(local.backend().device_id) : nullptr),
        recorder(plan_recorder(local, config)),
        engine(local.scheduler(), config.scheduler.async, local.runner(), local.grid().replica(),
               local.watchdog()) {
    engine.count_costs(meter.get(), is_batch(config) && config.job.record_costs);
    engine.record_to(recorder.get());
  }
  static bool is_batch(const EngineConfig& config) { return config.job.type == JobType::kBatch; }

  std::unique_ptr<EnergyMeter> meter;      // null: nobody measures the device's energy
  std::unique_ptr<PlanRecorder> recorder;  // null: plans are not recorded
  Engine engine;
};

PoolOptions pool_options(const EngineConfig& config, const MpiEnvironment& mpi) {
  return {.max_num_seqs = config.scheduler.max_num_seqs,
          .read_ahead = BatchJob::read_ahead(config),
          .step_timeout = std::chrono::seconds(config.step_timeout_s),
          .find_fault = [peers = mpi.peers()] { return peers.find_fault(); }};
}

// On the first rank of each replica but rank 0's.
void follow(LocalModel& local, const EngineConfig& config, const MpiEnvironment& mpi,
            Engine& engine) {
  run_replica(engine, local.grid().leaders(), pool_options(config, mpi),
              fmt::format("rank {} on {}", mpi.world().rank(), MpiEnvironment::host_name()));
}

// Who asks by two ways may be heard by the second when the job has ended, and must not kill it
// then.
void ignore_late_requests() { OnSignal::ignore_afterwards(SIGUSR1); }

ExitCode run_batch(LocalModel& local, const EngineConfig& config, const MpiEnvironment& mpi,
                   LineReader& input, BatchOutput& output, const StopPolicy& policy) {
  ApiContext api(config, local.files(), local.limits().max_length,
                 local.budget().num_pages * local.budget().page_span);
  Leader leader(local, config);
  ReplicaPool pool(leader.engine, local.grid().leaders(), pool_options(config, mpi));
  return with_place([&] { return local.place(); },
                    [&] { return BatchJob(config, api.context, pool, output, policy).run(input); });
}

// Any rank but 0.
void follow_rank_0(LocalModel& local, const EngineConfig& config, const MpiEnvironment& mpi) {
  with_place([&] { return local.place(); },
             [&] {
               const MpiGroup& replica = local.grid().replica();
               if (replica.rank() > 0) return run_worker(local.runner(), replica, local.watchdog());
               Leader leader(local, config);
               follow(local, config, mpi, leader.engine);
             });
}

// Hosts may have other files under the path; one rank of each looks.
void check_same_model(const LocalModel& local, const EngineConfig& config,
                      const MpiEnvironment& mpi) {
  if (mpi.world().min(mpi.local_size()) == mpi.world().size()) return;
  std::string mine = mpi.local_rank() == 0 ? model_fingerprint(local.files(), config.model) : "";
  check_agreement(
      mpi.world(), "the model", mpi.same_host().broadcast_text(mine, 0),
      fmt::format("copy {} again, or give a path that all hosts share", config.model.path));
}

void load(LocalModel& local, const EngineConfig& config, const MpiEnvironment& mpi) {
  check_same_model(local, config, mpi);
  local.load(local.wanted_grid());
  if (config.job.type == JobType::kServe) local.runner().time_steps();
}

ModelIdentity identity_of(const LocalModel& local, const EngineConfig& config) {
  return {.path = config.model.path,
          .fingerprint = model_fingerprint(local.files(), config.model),
          .dtype = std::string(name_of(local.dtype())),
          .seed = config.seed};
}

// When rank 0 stops before all is answered.
StopPolicy::Options stop_options(const EngineConfig& config, const StopRequest& request) {
  StopPolicy::Options options{.grace = std::chrono::seconds(config.job.grace),
                              .time_limit = slurm_time_limit(slurm_questions()),
                              .signal = [&request] { return request.signal(); }};
  if (config.job.stop_after == 0) return options;
  auto left = std::chrono::duration<double>(static_cast<double>(config.job.stop_after) -
                                            seconds_since_launch());
  options.stop_after = {.end = StopPolicy::Clock::now() +
                               std::chrono::duration_cast<StopPolicy::Clock::duration>(left),
                        .name = fmt::format("job.stop_after = {} s", config.job.stop_after)};
  return options;
}

// Loads the model unless rank 0 finds that there is nothing to do; then it returns no hosts.
std::vector<HostRanks> load_for_batch(LocalModel& local, const EngineConfig& config,
                                      const MpiEnvironment& mpi, StopRequest& stop,
                                      bool is_complete) {
  if (mpi.world().max(is_complete) > 0) return {};
  load(local, config, mpi);
  stop.begin();
  return hosts_of(local);
}

Manifest manifest_of(const EngineConfig& config, const LocalModel& local, const Program& program) {
  EngineConfig run = as_run(config, local);
  Manifest manifest = manifest_of(run, program);
  manifest.configuration = batch_settings(run);
  if (local.files().store) manifest.weights = local.files().store->digest();
  return manifest;
}

// Rank 0's part. What cannot be read or written shows before the model is loaded.
ExitCode lead_batch(const EngineConfig& config, const MpiEnvironment& mpi, StopRequest& stop,
                    const ProgramFacts& program) {
  LineReader input(config.job.input, config.job.max_line_bytes);
  check_output_is_no_input(config, "job.output", config.job.output);
  check_output_is_no_input(config, "job.error_file", config.job.error_file);
  BatchOutput output(config, MpiEnvironment::host_name());
  StopPolicy policy(stop_options(config, stop));
  LocalModel local(config, mpi);
  output.set_model(identity_of(local, local.config()));
  for (const std::string& line : output.news()) fmt::print(stderr, "{}\n", line);
  auto hosts = load_for_batch(local, local.config(), mpi, stop, output.is_complete());
  if (hosts.empty()) return ExitCode::kDone;
  output.set_manifest(manifest_of(local.config(), local, program()),
                      life_of(local, std::move(hosts)));
  return run_batch(local, local.config(), mpi, input, output, policy);
}

ExitCode batch(const EngineConfig& config, const MpiEnvironment& mpi, const ProgramFacts& program) {
  if (config.job.input.empty() || config.job.output.empty())
    fail_usage("job.{} is missing; give a path, or - for standard {}",
               config.job.input.empty() ? "input" : "output",
               config.job.input.empty() ? "input" : "output");
  StopRequest stop(mpi.peers());
  ignore_late_requests();
  if (mpi.world().rank() == 0) return lead_batch(config, mpi, stop, program);
  LocalModel local(config, mpi);
  if (!load_for_batch(local, local.config(), mpi, stop, false).empty())
    follow_rank_0(local, local.config(), mpi);
  return ExitCode::kDone;
}

void print_trace(StepTrace& trace, const std::string& path) {
  StepTrace::Summary s = trace.summary();
  fmt::print("Trace: {} steps, device busy {:.2f} ms, idle {:.2f} ms ({:.2f}%)\n", s.steps,
             s.busy_ms, s.idle_ms, 100 * s.idle_share());
  trace.write(path);
}

void run_server(Server& server, LocalModel& local, const EngineConfig& config,
                const MpiEnvironment& mpi) {
  ApiContext api(config, local.files(), local.limits().max_length,
                 local.budget().num_pages * local.budget().page_span);
  api.context.ignores_unknown_fields = true;
  if (!config.server.served_model_name.empty())
    api.context.model_name = config.server.served_model_name;
  Leader leader(local, config);
  ReplicaPool pool(leader.engine, local.grid().leaders(), pool_options(config, mpi));
  int64_t max_choices = int64_t{config.scheduler.max_num_seqs} * local.grid().shape().dp +
                        config.scheduler.max_waiting;
  std::optional<StepTrace> trace;
  if (!config.server.trace.empty())
    trace.emplace(local.backend(), local.stream(), static_cast<size_t>(config.server.trace_steps),
                  StepTrace::Keeps::kLast);
  local.runner().record_steps(trace ? &*trace : nullptr);
  with_place([&] { return local.place(); },
             [&] {
               server.run({api.context, local.files().texts, identity_of(local, config)}, pool,
                          max_choices, [&] { return mpi.peers().find_fault(); });
             });
  local.runner().record_steps(nullptr);
  if (trace) print_trace(*trace, config.server.trace);
}

// Asks the server to end when its requests have, at the first signal. A later one ends it at once,
// and so does one that comes because a rank died; clients hear of that, too.
class ServerEnd {
 public:
  ServerEnd(Server& server, const MpiEnvironment& mpi)
      : server_(server),
        mpi_(mpi),
        terminate_(SIGTERM, [this] { return ask(); }),
        interrupt_(SIGINT, [this] { return ask(); }) {
    LastWords::on_end([this](const std::string& why) { server_.give_up(why); });
  }
  ~ServerEnd() { LastWords::on_end(nullptr); }
  ServerEnd(const ServerEnd&) = delete;
  ServerEnd& operator=(const ServerEnd&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  // Who is asked by two ways hears it twice.
  static constexpr auto kOneQuestion = std::chrono::seconds(2);

  bool ask() {
    if (!mpi_.peers().find_fault().empty()) return false;
    if (!asked_) asked_ = Clock::now();
    server_.drain();
    return Clock::now() - *asked_ < kOneQuestion;
  }

  Server& server_;
  const MpiEnvironment& mpi_;
  std::optional<Clock::time_point> asked_;  // of the thread that signals act on
  OnSignal terminate_, interrupt_;
};

void serve(const EngineConfig& config, const MpiEnvironment& mpi) {
  if (mpi.world().rank() > 0) {
    // Rank 0 is told, too, and ends the others when its requests have ended.
    OnSignal drain(SIGUSR1, [] { return true; });
    ignore_late_requests();
    LocalModel local(config, mpi);
    load(local, local.config(), mpi);
    auto is_well = [&] { return mpi.peers().find_fault().empty(); };
    OnSignal terminate(SIGTERM, is_well), interrupt(SIGINT, is_well);
    return follow_rank_0(local, local.config(), mpi);
  }
  check_output_is_no_input(config, "server.trace", config.server.trace);
  // An address that cannot be had shows before the model is loaded.
  Server server(config);
  OnSignal drain(SIGUSR1, [&] { return server.drain(), true; });
  ignore_late_requests();
  LocalModel local(config, mpi);
  load(local, local.config(), mpi);
  ServerEnd end(server, mpi);
  run_server(server, local, local.config(), mpi);
}

BenchSetup bench_setup(LocalModel& local, const EngineConfig& config, const DeviceTimes& rates) {
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
void measure(LocalModel& local, const EngineConfig& config, const MpiEnvironment& mpi,
             const DeviceTimes& rates) {
  BenchJob job(config, bench_setup(local, config, rates));
  Leader leader(local, config);
  if (job.warms_up()) {
    ReplicaPool own(leader.engine);
    job.warm_up(own);
  }
  const MpiGroup& leaders = local.grid().leaders();
  leaders.barrier();
  if (leaders.rank() > 0) return follow(local, config, mpi, leader.engine);
  std::optional<StepTrace> trace;
  if (!config.bench.trace.empty())
    trace.emplace(local.backend(), local.stream(), static_cast<size_t>(config.bench.trace_steps));
  auto on_warm = [&] { local.runner().record_steps(trace ? &*trace : nullptr); };
  ReplicaPool pool(leader.engine, leaders, pool_options(config, mpi));
  BenchReport result = job.run(pool, on_warm);
  local.runner().record_steps(nullptr);
  print_report(result, config.bench.output_json);
  if (trace) print_trace(*trace, config.bench.trace);
}

void bench(const EngineConfig& given, const MpiEnvironment& mpi) {
  using Kind = EngineConfig::Bench::Kind;
  if (given.grid && given.grid->dp > 1 && !given.can_replicate())
    fail_usage("grid.dp = {}: of the benchmarks only throughput runs on several replicas",
               given.grid->dp);
  check_output_is_no_input(given, "bench.output_json", given.bench.output_json);
  check_output_is_no_input(given, "bench.trace", given.bench.trace);
  LocalModel local(given, mpi);
  const EngineConfig& config = local.config();
  check_same_model(local, config, mpi);
  if (config.bench.kind == Kind::kGrids) return bench_grids(local, config);
  GridShape grid = local.wanted_grid();
  DeviceTimes rates;
  if (config.bench.kind != Kind::kStartup) {
    // All ranks at the same time, since those of a CPU share its memory; while there is room.
    mpi.world().barrier();
    rates = measure_best(local.backend(), local.stream());
  }
  local.load(grid);
  with_place([&] { return local.place(); },
             [&] {
               const MpiGroup& replica = local.grid().replica();
               if (replica.rank() > 0) return run_worker(local.runner(), replica, local.watchdog());
               measure(local, config, mpi, rates);
             });
}

}  // namespace

ExitCode run_job(const EngineConfig& config, const MpiEnvironment& mpi,
                 const ProgramFacts& program) {
  if (!config.replay_plan.empty()) return replay_plans(config, mpi), ExitCode::kDone;
  switch (config.job.type) {
    case JobType::kBatch:
      return batch(config, mpi, program);
    case JobType::kServe:
      serve(config, mpi);
      break;
    case JobType::kBench:
      bench(config, mpi);
      break;
  }
  return ExitCode::kDone;
}

}  // namespace ll
