#include "runtime/job.h"

#include <filesystem>
#include <memory>
#include <optional>

#include "runtime/batch_job.h"
#include "runtime/bench_job.h"
#include "runtime/cpu_threads.h"
#include "runtime/grid_planner.h"
#include "runtime/launch_clock.h"
#include "runtime/memory_budget.h"
#include "runtime/replicated_batch.h"
#include "runtime/version.h"

namespace ll {
namespace {

// The model's files: with weights, or (load_format dummy) its shape and texts alone.
struct ModelFiles {
  std::optional<WeightStore> store;
  ModelConfig config;
  ModelTexts texts;
  GenerationConfig generation;

  explicit ModelFiles(const EngineConfig::Model& model) {
    if (model.load_format == EngineConfig::LoadFormat::kWeights) {
      store = WeightStore::open(model.path);
      config = store->config();
      texts = store->texts();
      generation = store->generation_config();
    } else {
      config = load_config_only(model.path);
      texts = load_model_texts(model.path);
      generation = parse_generation_config(
          texts.generation_config_json.empty() ? "{}" : texts.generation_config_json, model.path);
    }
  }
};

BackendKind choose_backend(const EngineConfig& config, const MpiGroup& world) {
  if (config.backend == EngineConfig::BackendChoice::kCpu) return BackendKind::kCpu;
  if (config.backend == EngineConfig::BackendChoice::kCuda) return BackendKind::kCuda;
  return world.min(has_cuda()) > 0 ? BackendKind::kCuda : BackendKind::kCpu;
}

RunnerOptions runner_options(const EngineConfig& config, const ModelConfig& model,
                             const Backend& backend, bool collects) {
  const auto& s = config.scheduler;
  int64_t length = model.max_position;
  if (s.max_input_length > 0 && s.max_output_length > 0)
    length = std::min(length, s.max_input_length + s.max_output_length);
  if (backend.fixed_page_size > 0 && config.kv_cache.page_size != backend.fixed_page_size)
    fail_usage("kv_cache.page_size: the CUDA backend's pages have {} positions, not {}",
               backend.fixed_page_size, config.kv_cache.page_size);
  return {.max_num_seqs = s.max_num_seqs,
          .max_num_batched_tokens = s.max_num_batched_tokens,
          .max_length = length,
          .page_size = config.kv_cache.page_size,
          .graph_max_rows = config.enforce_eager ? 0 : config.cuda_graph_max_bs,
          .collects = collects};
}

SchedulerOptions scheduler_options(const EngineConfig& config, const RunnerOptions& runner,
                                   const ModelShard& shard, int32_t gather_tokens) {
  return {.max_num_seqs = runner.max_num_seqs,
          .max_num_batched_tokens = runner.max_num_batched_tokens,
          .chunked_prefill = config.scheduler.chunked_prefill,
          .radix = config.kv_cache.radix,
          .busy_scale = config.scheduler.busy_scale,
          .num_pages = runner.num_pages,
          .page_size = shard.positions(runner.page_size).span(),
          .gather_tokens = gather_tokens};
}

// The ranks' device as the grid planner sees it.
MachineRates machine_of(const Backend& backend, const MpiEnvironment& mpi) {
  auto known = known_machine(backend.kind == BackendKind::kCpu ? "cpu" : backend.device_name);
  MachineRates machine = known.value_or(known_machine("h100").value());
  machine.memory_bytes = backend.device.memory_info().total_bytes;
  if (backend.kind == BackendKind::kCpu) {  // the ranks of a host share what it has
    auto ranks = static_cast<size_t>(mpi.local_size());
    machine.memory_bytes /= ranks;
    machine.bytes_per_s /= static_cast<double>(ranks);
    machine.flops_per_s /= static_cast<double>(ranks);
  }
  return machine;
}

// One rank's part of the model, ready to run plans.
class Rank {
 public:
  Rank(const EngineConfig& config, const MpiEnvironment& mpi)
      : config_(config),
        mpi_(mpi),
        watchdog_(std::chrono::seconds(config.step_timeout_s),
                  fmt::format("rank {} on {}", mpi.world().rank(), MpiEnvironment::host_name()),
                  mpi.local_peers()),
        files_(config.model),
        dtype_(config.model.dtype.value_or(model_dtype(files_.config.dtype))),
        backend_(
            open_backend(choose_backend(config, mpi.world()), mpi.local_rank(), num_threads())),
        shape_(config.grid ? choose_grid(files_.config, config.grid, mpi.world().size())
                           : planned_grid()),
        grid_(backend_, mpi.world(), shape_),
        shard_(shard_of(files_.config, shape_, grid_.place())),
        options_(runner_options(config, files_.config, backend_, grid_.replica().rank() == 0)),
        stream_(backend_.device.create_stream()) {
    measure_floors();
    MemoryBudget budget = plan_memory(config, options_, backend_, files_.config, shard_, dtype_,
                                      shape_.replica_size(), mpi.local_size());
    options_.num_pages = budget.num_pages = mpi.world().min(budget.num_pages);
    say(fmt::format("litelang {}: {}, {}, {} rank{} ({}), {}", kVersion, config.model.path,
                    name_of(dtype_), mpi.world().size(), mpi.world().size() == 1 ? "" : "s",
                    shape_.str(), backend_.device_name));
    say("memory of a rank: " + budget.str());
    Qwen2Weights loaded = weights();
    backend_.device.synchronize(stream_);
    weights_loaded_ = seconds_since_launch();
    runner_ = std::make_unique<ModelRunner>(options_, backend_, grid_, stream_, files_.config,
                                            shard_, std::move(loaded));
    grid_.replica().barrier();
  }

  void run_batch(LineReader& input, OutputFile& output);
  void run_bench();
  // Any rank but 0.
  void follow();

 private:
  int num_threads() const {
    return config_.threads > 0 ? config_.threads : share_of_processors(mpi_.local_size());
  }

  GridShape planned_grid() const;
  // Rows from which steps gather weights.
  int32_t gather_tokens() const {
    if (shape_.z == 1) return 0;
    if (config_.gather_tokens > 0) return config_.gather_tokens;
    return static_cast<int32_t>(ll::gather_tokens(files_.config, machine_of(backend_, mpi_), shape_,
                                                  dtype_, options_.max_num_batched_tokens));
  }

  void say(const std::string& line) const {
    if (mpi_.world().rank() == 0) fmt::print(stderr, "{}\n", line);
  }

  // All ranks at the same time, since those of a CPU share its memory; while there is room.
  void measure_floors() {
    bool is_bench = config_.job.type == EngineConfig::JobType::kBench;
    if (!is_bench || config_.bench.kind == EngineConfig::Bench::Kind::kStartup) return;
    mpi_.world().barrier();
    rates_ = measure_rates(backend_, stream_);
  }

  Qwen2Weights weights() const {
    if (!files_.store)
      return random_weights(files_.config, shard_, dtype_, backend_, stream_, config_.model.seed);
    return load_weights(*files_.store, shard_, dtype_, backend_, stream_, config_.load_threads, {});
  }

  const EngineConfig& config_;
  const MpiEnvironment& mpi_;
  Watchdog watchdog_;
  ModelFiles files_;
  DType dtype_;
  Backend backend_;
  GridShape shape_;
  ProcessGrid grid_;
  ModelShard shard_;
  RunnerOptions options_;
  Stream stream_;
  DeviceRates rates_;          // of a benchmark's floors
  double weights_loaded_ = 0;  // seconds since the launch
  std::unique_ptr<ModelRunner> runner_;
};

// How prompts are read and answers written; owns what the context refers to.
struct BatchTexts {
  std::optional<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  CompletionContext context;

  BatchTexts(const EngineConfig& config, const ModelFiles& files, int64_t max_length);
};

// All ranks take what rank 0 makes of the measured links. Replicas are for batches, and on GPUs:
// on a CPU each would read all weights through the memory they share.
GridShape Rank::planned_grid() const {
  const MpiGroup& world = mpi_.world();
  if (world.size() == 1) return choose_grid(files_.config, std::nullopt, 1);
  bool is_cuda = backend_.kind == BackendKind::kCuda;
  MachineRates machine = machine_of(backend_, mpi_);
  if (is_cuda) machine.links = measure_links(backend_, world, machine.links);
  GridQuestion question{
      .num_ranks = world.size(),
      .dtype = dtype_,
      .memory_share = is_cuda ? config_.kv_cache.gpu_memory_utilization : 0.5,
      .limits = runner_options(config_, files_.config, backend_, false),
      .may_replicate = is_cuda && config_.job.type == EngineConfig::JobType::kBatch,
      .may_gather = is_cuda,
      .sequences = config_.scheduler.max_num_seqs};
  GridShape shape = best_grid(files_.config, machine, question);
  world.broadcast(&shape, sizeof shape, 0);
  return shape;
}

// The chat template, or why there is none.
std::optional<ChatTemplate> find_chat_template(const ModelTexts& texts, std::string& reason) {
  reason = "messages: this model has no chat template; send a rendered prompt to /v1/completions";
  try {
    if (!texts.chat_template.empty())
      return ChatTemplate::from_text(texts.chat_template, "chat_template.jinja");
    if (!texts.tokenizer_config_json.empty())
      return ChatTemplate::from_config(texts.tokenizer_config_json, "tokenizer_config.json");
  } catch (const Error& e) {
    reason = fmt::format("messages: {}", e.what());
  }
  return std::nullopt;
}

BatchTexts::BatchTexts(const EngineConfig& config, const ModelFiles& files, int64_t max_length) {
  if (!files.texts.tokenizer_json.empty())
    tokenizer = Tokenizer::from_json(files.texts.tokenizer_json, "tokenizer.json");
  chat_template = find_chat_template(files.texts, context.no_chat_reason);
  auto limit = [&](int64_t wanted) {
    return wanted > 0 ? std::min(wanted, max_length) : max_length;
  };
  context.tokenizer = tokenizer ? &*tokenizer : nullptr;
  context.chat_template = tokenizer && chat_template ? &*chat_template : nullptr;
  context.model_name = std::filesystem::path(config.model.path).filename().string();
  context.eos_token_ids = files.generation.eos_token_ids.empty() ? files.config.eos_token_ids
                                                                 : files.generation.eos_token_ids;
  context.defaults = files.generation;
  context.vocab_size = static_cast<int32_t>(files.config.vocab_size);
  context.max_input_length = limit(config.scheduler.max_input_length);
  context.max_output_length = limit(config.scheduler.max_output_length);
  context.max_length = max_length;
  context.seed = config.seed;
}

void Rank::run_batch(LineReader& input, OutputFile& output) {
  BatchTexts texts(config_, files_, options_.max_length);
  Mailbox mailbox(grid_.leaders());
  ReplicatedBatch replicas(config_, texts.context, mailbox, output);
  bool is_alone = shape_.dp == 1;
  BatchJob job(config_, texts.context, [&](int64_t line, std::string_view record) {
    is_alone ? output.write_line(record) : replicas.done(line, record);
  });
  Engine engine(scheduler_options(config_, options_, shard_, gather_tokens()),
                config_.scheduler.async, *runner_, grid_.replica(), watchdog_, job.events());
  is_alone ? job.run(engine, input, output) : replicas.run(engine, job, input);
}

void Rank::follow() {
  if (grid_.replica().rank() > 0) return run_worker(*runner_, grid_.replica(), watchdog_);
  BatchTexts texts(config_, files_, options_.max_length);
  Mailbox mailbox(grid_.leaders());
  RemoteReplica replica(config_, texts.context, mailbox);
  BatchJob job(config_, texts.context,
               [&](int64_t line, std::string_view record) { replica.done(line, record); });
  Engine engine(scheduler_options(config_, options_, shard_, gather_tokens()),
                config_.scheduler.async, *runner_, grid_.replica(), watchdog_, job.events());
  replica.run(engine, job);
}

void Rank::run_bench() {
  const auto& bench = config_.bench;
  BenchModel model = bench_model(files_.config, config_.model.path, dtype_, shape_.replica_size());
  SchedulerOptions scheduler = scheduler_options(config_, options_, shard_, gather_tokens());
  BenchJob job(config_, {.model = model,
                         .rates = rates_,
                         .num_kv_positions = scheduler.num_pages * scheduler.page_size,
                         .max_length = options_.max_length,
                         .weights_loaded = weights_loaded_});
  Engine engine(scheduler, config_.scheduler.async, *runner_, grid_.replica(), watchdog_,
                job.events());
  std::optional<StepTrace> trace;
  if (!bench.trace.empty())
    trace.emplace(backend_, stream_, static_cast<size_t>(bench.trace_steps));
  BenchReport result = job.run(engine, [&] { runner_->record_steps(trace ? &*trace : nullptr); });
  runner_->record_steps(nullptr);
  fmt::print("{}", result.text);
  if (!bench.output_json.empty()) {
    OutputFile json(bench.output_json, /*overwrite=*/true);
    json.write_line(result.json);
    json.close();
  }
  if (!trace) return;
  StepTrace::Summary s = trace->summary();
  fmt::print("Trace: {} steps, device busy {:.2f} ms, idle {:.2f} ms ({:.2f}%)\n", s.steps,
             s.busy_ms, s.idle_ms, 100 * s.idle_share());
  trace->write(bench.trace);
}

}  // namespace

void run_job(const EngineConfig& config, const MpiEnvironment& mpi) {
  if (config.job.type == EngineConfig::JobType::kBench) {
    if (config.grid && config.grid->dp > 1)
      fail_usage("grid.dp = {}: a benchmark runs on one replica", config.grid->dp);
    Rank rank(config, mpi);
    return mpi.world().rank() > 0 ? rank.follow() : rank.run_bench();
  }
  if (config.job.input.empty() || config.job.output.empty())
    fail_usage("job.{} is missing; give a path, or - for standard {}",
               config.job.input.empty() ? "input" : "output",
               config.job.input.empty() ? "input" : "output");
  if (mpi.world().rank() > 0) return Rank(config, mpi).follow();
  // What cannot be read or written shows before the model is loaded.
  LineReader input(config.job.input, config.job.max_line_bytes);
  std::error_code none;
  if (std::filesystem::is_regular_file(config.job.input, none) &&
      std::filesystem::equivalent(config.job.input, config.job.output, none))
    fail_usage("job.output: {} is job.input, too", config.job.output);
  OutputFile output(config.job.output, config.job.overwrite);
  Rank(config, mpi).run_batch(input, output);
}

}  // namespace ll
