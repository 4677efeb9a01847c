#pragma once
// A rank of the job: its device, the model's files, and its part of the model on a grid. The grid
// can be changed while no step runs: the weights move through the network.
#include <memory>
#include <optional>

#include "parallel/mpi/mpi_environment.h"
#include "runtime/config/model_files.h"
#include "runtime/engine/model_runner.h"
#include "runtime/planning/grid_cost.h"
#include "runtime/process/signals.h"
#include "runtime/process/watchdog.h"
#include "runtime/rank/rank_memory.h"
#include "runtime/schedule/scheduler.h"

namespace ll {

// KV memory for so many sequences of a length; none: all that is free.
struct KvWish {
  int64_t sequences = 0, length = 0;
};

class LocalModel {
 public:
  // Opens files and device; no weights yet. Collective over the world, as all that is not const.
  LocalModel(const EngineConfig& config, const MpiEnvironment& mpi);
  ~LocalModel();
  LocalModel(const LocalModel&) = delete;
  LocalModel& operator=(const LocalModel&) = delete;

  // With what depends on the machine, where the user left it open.
  const EngineConfig& config() const { return config_; }
  const ModelConfig& model() const { return files_.config; }
  const ModelFiles& files() const { return files_; }
  DType dtype() const { return dtype_; }
  const Backend& backend() const { return backend_; }
  Stream stream() const { return stream_; }
  const MpiGroup& world() const { return mpi_.world(); }
  Watchdog& watchdog() { return watchdog_; }
  // Where this rank is in its work: "rank 3 on node7 (NVIDIA H200), in step 17".
  std::string place();
  // What steps take on this machine: known of it by name, until it is measured.
  const MachineRates& machine() const { return machine_; }
  void measure_machine();
  // What this rank may use of its device's memory, before anything of a grid is there.
  DeviceMemory memory() const;
  // The limits of a runner, on whichever grid.
  RunnerOptions limits() const;

  // The grid that the configuration names, or that the planner takes.
  GridShape wanted_grid();
  // Reads or makes the weights of this rank's part on a grid, and is ready to run plans.
  void load(const GridShape& shape, const KvWish& wish = {});
  // Goes on on another grid, with the weights that are there. Returns seconds until they were in
  // place.
  double move(const GridShape& shape, const KvWish& wish = {});

  // What belongs to the grid it is on.
  const ProcessGrid& grid() const { return *grid_; }
  const ModelShard& shard() const { return *shard_; }
  ModelRunner& runner() { return *runner_; }
  const MemoryBudget& budget() const { return budget_; }
  SchedulerOptions scheduler() const;
  // Seconds from the launch until the weights were loaded.
  double weights_loaded() const { return weights_loaded_; }

 private:
  GridShape planned_grid();
  int num_seqs() const;
  DecoderWeights make_weights();
  DecoderWeights read_weights(Stream stream);
  std::optional<ModelConfig> few_layers() const;
  DecoderWeights read_and_measure(const ModelConfig& few);
  void enter(const GridShape& shape);
  // `resident`: bytes of the weights that are there already.
  void plan_pages(const KvWish& wish, size_t resident);
  ModelPart part() const { return {model(), *shard_, dtype_}; }
  void start(DecoderWeights weights, bool is_measured);
  int32_t gather_tokens() const;
  std::string device() const;
  std::string device_and_kernels() const;
  [[noreturn]] bool end_asked();
  PrefixRules prefix_groups() const;
  DraftOptions drafts() const;
  void say(const std::string& line) const;

  EngineConfig config_;
  const MpiEnvironment& mpi_;
  Watchdog watchdog_;
  OnSignal on_terminate_, on_interrupt_, on_hangup_;
  ModelFiles files_;
  DType dtype_;
  Backend backend_;
  MachineRates machine_;
  Stream stream_;
  std::unique_ptr<Communicator> all_ranks_;  // weights move over it; made when they first do
  // What belongs to the grid; a runner goes before its communicators.
  std::unique_ptr<ProcessGrid> grid_;
  std::optional<ModelShard> shard_;
  RunnerOptions options_;
  MemoryBudget budget_;
  std::unique_ptr<ModelRunner> runner_;
  double weights_loaded_ = 0;
};

}  // namespace ll
