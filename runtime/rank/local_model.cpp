#include "runtime/rank/local_model.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <future>
#include <thread>

#include "base/numbers.h"
#include "kernels/device_thread.h"
#include "model/shard/reshard.h"
#include "parallel/make_communicator.h"
#include "runtime/engine/measure_products.h"
#include "runtime/planning/default_sequences.h"
#include "runtime/planning/grid_planner.h"
#include "runtime/planning/measure_device.h"
#include "runtime/process/cpu_threads.h"
#include "runtime/process/injected_fault.h"
#include "runtime/process/launch_clock.h"
#include "runtime/rank/own_device.h"
#include "runtime/rank/try_communicators.h"
#include "runtime/version.h"

namespace ll {
namespace {

constexpr int kCpuSeqs = 256;
constexpr int64_t kMeasuredPages = 512;  // for steps of which products are measured

BackendKind choose_backend(const EngineConfig& config, const MpiGroup& world) {
  if (config.backend == EngineConfig::BackendChoice::kCpu) return BackendKind::kCpu;
  if (config.backend == EngineConfig::BackendChoice::kCuda) return BackendKind::kCuda;
  return world.min(has_cuda()) > 0 ? BackendKind::kCuda : BackendKind::kCpu;
}

Backend open_own_device(const EngineConfig& config, const MpiEnvironment& mpi, int num_threads) {
  Backend backend =
      open_backend(choose_backend(config, mpi.world()), mpi.local_rank(), num_threads);
  refuse_shared_devices(backend, mpi.world());
  return backend;
}

// The ranks' device as the grid planner sees it.
MachineRates machine_of(const Backend& backend, const MpiEnvironment& mpi) {
  auto known = known_machine(backend.kind == BackendKind::kCpu ? "cpu" : backend.device_name);
  MachineRates machine = known.value_or(known_machine("a100").value());
  if (backend.kernel_family != "sm90") machine.device.one_kernel_hidden.clear();
  machine.memory_bytes = backend.device.memory_info().total_bytes;
  if (backend.kind == BackendKind::kCpu) {  // the ranks of a host share what it has
    machine.memory_bytes /= static_cast<size_t>(mpi.local_size());
    machine.device = machine.device.shared_by(mpi.local_size());
  }
  return machine;
}

}  // namespace

LocalModel::LocalModel(const EngineConfig& config, const MpiEnvironment& mpi)
    : config_(config),
      mpi_(mpi),
      watchdog_(std::chrono::seconds(config.step_timeout_s),
                fmt::format("rank {} on {}", mpi.world().rank(), MpiEnvironment::host_name()),
                mpi.peers()),
      on_terminate_(SIGTERM, [this] { return end_asked(); }),
      on_interrupt_(SIGINT, [this] { return end_asked(); }),
      on_hangup_(SIGHUP, [this] { return end_asked(); }),
      files_(config.model),
      dtype_(config.model.dtype.value_or(model_dtype(files_.config.dtype))),
      backend_(
          open_own_device(config, mpi, threads_of_rank(mpi.world().same_host(), config.threads))),
      machine_(machine_of(backend_, mpi)),
      stream_(backend_.device.create_stream()) {
  watchdog_.rename(fmt::format("{} ({})", watchdog_.words().who(), device()));
  if (config_.scheduler.max_num_seqs == 0) config_.scheduler.max_num_seqs = num_seqs();
}

LocalModel::~LocalModel() = default;

bool LocalModel::end_asked() { watchdog_.words().end_asked(watchdog_.where()); }

// "NVIDIA H200, GPU-7f2c...": as nvidia-smi -L lists it.
std::string LocalModel::device() const {
  const Backend& b = backend_;
  return b.device_id.empty() ? b.device_name : b.device_name + ", " + b.device_id;
}

std::string LocalModel::place() { return watchdog_.words().who() + ", " + watchdog_.where(); }

// "NVIDIA H200, sm90 kernels".
std::string LocalModel::device_and_kernels() const {
  const Backend& b = backend_;
  return b.kernel_family.empty() ? b.device_name
                                 : b.device_name + ", " + b.kernel_family + " kernels";
}

void LocalModel::say(const std::string& line) const {
  if (world().rank() == 0) fmt::print(stderr, "{}\n", line);
}

DeviceMemory LocalModel::memory() const {
  return device_memory(config_, backend_, mpi_.local_size());
}

// The same on all ranks; what a step has room for is not exceeded.
int LocalModel::num_seqs() const {
  int replica_ranks = world().size() / (config_.grid ? config_.grid->dp : 1),
      most = backend_.kind == BackendKind::kCpu
                 ? kCpuSeqs
                 : default_num_seqs(model(), dtype_, memory(), std::max(replica_ranks, 1));
  return static_cast<int>(world().min(std::min(most, config_.scheduler.max_num_batched_tokens)));
}

DraftOptions LocalModel::drafts() const {
  const EngineConfig::Speculative& s = config_.speculative;
  if (!s.is_on()) return {};
  return {.max_drafts = s.num_speculative_tokens,
          .min_match = s.prompt_lookup_min,
          .max_match = s.prompt_lookup_max,
          .is_adaptive = s.adaptive && s.synthetic_acceptance_length == 0,
          .synthetic_length = static_cast<float>(s.synthetic_acceptance_length)};
}

RunnerOptions LocalModel::limits() const {
  const auto& s = config_.scheduler;
  int64_t length = model().max_position;
  if (s.max_input_length > 0 && s.max_output_length > 0)
    length = std::min(length, s.max_input_length + s.max_output_length);
  if (backend_.fixed_page_size > 0 && config_.kv_cache.page_size != backend_.fixed_page_size)
    fail_usage("kv_cache.page_size: the CUDA backend's pages have {} positions, not {}",
               backend_.fixed_page_size, config_.kv_cache.page_size);
  if (backend_.max_sequences > 0 && s.max_num_seqs > backend_.max_sequences)
    fail_usage("scheduler.max_num_seqs: the CUDA backend runs up to {} sequences at a time, not {}",
               backend_.max_sequences, s.max_num_seqs);
  return {.max_num_seqs = s.max_num_seqs,
          .max_num_batched_tokens = s.max_num_batched_tokens,
          .max_length = length,
          .page_size = config_.kv_cache.page_size,
          .graph_max_rows = config_.enforce_eager ? 0 : config_.cuda_graph_max_bs,
          .collects = false,
          .drafts = drafts()};
}

void LocalModel::measure_machine() {
  world().barrier();  // those of a CPU share its memory: all at the same time
  machine_.device = measure_device(backend_, stream_, model(), dtype_, machine_.device);
  if (world().size() > 1)
    machine_.links = measure_links(backend_, world(), dtype_, model().hidden_size);
}

// What is measured decides on GPUs, where it takes a second or two.
GridShape LocalModel::wanted_grid() {
  bool decides_mode = config_.grid && config_.grid->z > 1 && config_.gather_tokens == 0,
       decides_grid = !config_.grid && world().size() > 1;
  if (config_.grid) choose_grid(model(), config_.grid, world().size());  // refuses what is illegal
  if (backend_.kind == BackendKind::kCuda && (decides_mode || decides_grid)) measure_machine();
  return config_.grid ? *config_.grid : planned_grid();
}

// All ranks take what rank 0 makes of the measured links. Replicas are for many requests, and on
// GPUs: on a CPU each would read all weights through the memory they share.
GridShape LocalModel::planned_grid() {
  if (world().size() == 1) return choose_grid(model(), std::nullopt, 1);
  bool is_cuda = backend_.kind == BackendKind::kCuda;
  GridQuestion question{.num_ranks = world().size(),
                        .dtype = dtype_,
                        .memory = memory(),
                        .limits = limits(),
                        .may_replicate = is_cuda && config_.can_replicate(),
                        .may_gather = is_cuda,
                        .sequences = config_.scheduler.max_num_seqs};
  if (is_cuda) say(describe_plan(model(), config_.model.path, machine_, question));
  GridShape shape = best_grid(model(), machine_, question);
  world().broadcast(&shape, sizeof shape, 0);
  return shape;
}

DecoderWeights LocalModel::read_weights(Stream stream) {
  if (is_fault_due("load", 0)) std::this_thread::sleep_for(std::chrono::hours(1));
  DecoderWeights weights = load_weights(
      *files_.store, *shard_, dtype_, backend_, stream, config_.load_threads,
      [this](size_t, size_t) { watchdog_.beat(); }, config_.model.verify);
  backend_.device.synchronize(stream);
  weights_loaded_ = seconds_since_launch();
  return weights;
}

// A model of few layers, in what is to be KV memory, shows how to do products while another thread
// reads the weights. Without the memory, or where the one-kernel step is measured as well, the
// weights come first.
std::optional<ModelConfig> LocalModel::few_layers() const {
  ModelConfig few = model();
  few.num_layers = num_measured_layers(model(), dtype_);
  size_t bytes = weight_bytes(weight_placements(few, *shard_), backend_.ops.packed_bytes, dtype_) +
                 KvCache::page_bytes({few, *shard_, dtype_}, options_.page_size) * kMeasuredPages;
  bool can = backend_.linear_tuning && !backend_.measures_fused_decode && files_.store &&
             bytes < budget_.kv_bytes();
  return world().min(can) > 0 ? std::optional(few) : std::nullopt;
}

DecoderWeights LocalModel::read_and_measure(const ModelConfig& few) {
  auto reading = std::async(std::launch::async, [this] {
    enter_device(backend_.kind);
    Stream side = backend_.device.create_side_stream();
    DecoderWeights weights = read_weights(side);
    backend_.device.destroy_stream(side);
    return weights;
  });
  RunnerOptions options = options_;
  options.num_pages = std::min(options.num_pages, kMeasuredPages);
  ModelRunner(options, backend_, *grid_, stream_, few, *shard_,
              random_weights(few, *shard_, dtype_, backend_, stream_, 0))
      .measure_products();
  return reading.get();
}

void LocalModel::load(const GridShape& shape, const KvWish& wish) {
  enter(shape);
  plan_pages(wish, 0);
  say(fmt::format("litelang {}: {}, {}, {} rank{} ({}), {}", kVersion, config_.model.path,
                  name_of(dtype_), world().size(), world().size() == 1 ? "" : "s", shape.str(),
                  device_and_kernels()));
  say("memory of a rank: " + budget_.str());
  if (files_.store) watchdog_.begin_phase("while loading weights");
  auto few = few_layers();
  DecoderWeights loaded = few            ? read_and_measure(*few)
                          : files_.store ? read_weights(stream_)
                                         : make_weights();
  watchdog_.await_others("while other ranks load weights");
  start(std::move(loaded), few.has_value());
}

DecoderWeights LocalModel::make_weights() {
  DecoderWeights weights =
      random_weights(model(), *shard_, dtype_, backend_, stream_, config_.model.seed);
  weights_loaded_ = seconds_since_launch();
  return weights;
}

double LocalModel::move(const GridShape& shape, const KvWish& wish) {
  ensure(runner_ != nullptr, "move: nothing is loaded");
  watchdog_.await_others("while moving weights to another grid");
  GridShape from = grid_->shape();
  backend_.device.synchronize(stream_);
  DecoderWeights held = runner_->model().release_weights();
  runner_.reset();
  grid_.reset();
  if (!all_ranks_) all_ranks_ = make_communicator(backend_, world());
  enter(shape);
  world().barrier();
  auto begin = std::chrono::steady_clock::now();
  held = reshard_weights(model(), from, shape, std::move(held), backend_, *all_ranks_, stream_);
  world().barrier();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  plan_pages(wish,
             weight_bytes(weight_placements(model(), *shard_), backend_.ops.packed_bytes, dtype_));
  start(std::move(held), /*is_measured=*/false);
  return seconds;
}

void LocalModel::enter(const GridShape& shape) {
  watchdog_.begin_phase("while connecting the ranks of the grid");
  grid_ = std::make_unique<ProcessGrid>(backend_, world(), shape);
  try_communicators(*grid_, backend_, stream_,
                    [this](std::string phase) { watchdog_.begin_phase(std::move(phase)); });
  watchdog_.await_others("while preparing to load weights");
  shard_ = shard_of(model(), shape, grid_->place());
  options_ = limits();
  options_.collects = grid_->replica().rank() == 0;
}

void LocalModel::plan_pages(const KvWish& wish, size_t resident) {
  budget_ = affordable_memory(config_, part(), options_, grid_->shape().replica_size(),
                              device_memory(config_, backend_, mpi_.local_size(), resident));
  budget_.num_pages = world().min(budget_.num_pages);
  if (wish.sequences > 0) {
    // Admission counts a part-full page more for each.
    int64_t span = budget_.page_span, wanted = wish.sequences * (ceil_div(wish.length, span) + 1);
    check(wanted <= budget_.num_pages,
          "{}: {} sequences of {} tokens need {} KV pages, but there is room for {}; use fewer, "
          "shorter ones",
          grid_->shape().str(), wish.sequences, wish.length, wanted, budget_.num_pages);
    budget_.num_pages = wanted;
  }
  options_.num_pages = budget_.num_pages;
}

void LocalModel::start(DecoderWeights weights, bool is_measured) {
  runner_ = std::make_unique<ModelRunner>(options_, backend_, *grid_, stream_, model(), *shard_,
                                          std::move(weights));
  if (!is_measured) runner_->measure_products();
  grid_->replica().barrier();
  // In it ranks wait for each other's memory, which has no other limit.
  watchdog_.begin_phase("while trying steps of one sequence in one kernel");
  runner_->measure_decode_one();
  watchdog_.await_others("while other ranks get ready");
  grid_->replica().barrier();
}

// Rows from which steps gather weights.
int32_t LocalModel::gather_tokens() const {
  const GridShape& shape = grid_->shape();
  if (shape.z == 1) return 0;
  if (config_.gather_tokens > 0) return config_.gather_tokens;
  return static_cast<int32_t>(
      ll::gather_tokens(model(), machine_, shape, dtype_, options_.max_num_batched_tokens));
}

// Groups cost a launch more a layer, and what that lets attention read: less is not saved.
PrefixRules LocalModel::prefix_groups() const {
  constexpr size_t kLaunchBytes = size_t{80} << 20;
  if (!backend_.groups_prefixes || !config_.kv_cache.cascade) return {};
  size_t page_bytes = budget_.page_bytes / static_cast<size_t>(model().num_layers);
  return {.min_rows = 4,
          .min_pages = 2,
          .min_saved_pages = static_cast<int64_t>(kLaunchBytes / page_bytes)};
}

SchedulerOptions LocalModel::scheduler() const {
  return {.max_num_seqs = options_.max_num_seqs,
          .max_num_batched_tokens = options_.max_num_batched_tokens,
          .chunked_prefill = config_.scheduler.chunked_prefill,
          .radix = config_.kv_cache.radix,
          .busy_scale = config_.scheduler.busy_scale,
          .num_pages = options_.num_pages,
          .page_span = shard_->positions(options_.page_size).span(),
          .gather_tokens = gather_tokens(),
          .prefix_groups = prefix_groups(),
          .drafts = options_.drafts};
}

}  // namespace ll
