#pragma once
// Which grid to run a model on: all legal ones, what they hold, and what steps on them are expected
// to cost. Needs no device and no ranks.
#include <string>
#include <vector>

#include "model/config/model_config.h"
#include "model/shard/model_shard.h"
#include "runtime/engine/runner_options.h"
#include "runtime/planning/grid_cost.h"
#include "runtime/planning/memory_budget.h"

namespace ll {

struct GridQuestion {
  int num_ranks = 1;
  DType dtype = DType::bf16;
  DeviceMemory memory;  // of each of them
  RunnerOptions limits;
  bool may_replicate = true;  // dp > 1
  bool may_gather = true;     // z > 1
  // The work grids are compared by.
  int64_t sequences = 256, prompt_tokens = 512, output_tokens = 512;
};

struct GridAnswer {
  GridShape grid;
  std::string problem;              // why it does not fit; empty: it does
  size_t weights = 0, buffers = 0;  // of a rank
  int64_t kv_tokens = 0;            // of all replicas
  double decode_one_s = 0;          // one sequence at a context of 1,024
  double decode_many_s = 0;         // as many of the sequences as a replica has, at their middle
  double prefill_s = 0;             // 8,192 tokens of one replica
  double tokens_per_s = 0;          // of output, of all replicas
  int64_t gather_tokens = 0;        // rows from which steps gather; 0: never
};

// Grids that run the model, the best first: the one with the most tokens a second, unless a simpler
// one comes within a twentieth of it; then by tokens a second. Those that do not fit are last.
std::vector<GridAnswer> plan_grids(const ModelConfig& config, const MachineRates& machine,
                                   const GridQuestion& question);

// The grid for all ranks of a world, where the configuration leaves it open; throws as choose_grid
// where there is none.
GridShape best_grid(const ModelConfig& config, const MachineRates& machine,
                    const GridQuestion& question);

// Rows from which steps on the grid gather weights.
int64_t gather_tokens(const ModelConfig& config, const MachineRates& machine, const GridShape& grid,
                      DType dtype, int64_t max_rows);

// Seconds of a step of one replica on the grid, in gathered mode or stationary.
double predict_step(const ModelConfig& config, const MachineRates& machine, const GridShape& grid,
                    DType dtype, const StepWork& work, bool gathered);

// The index of the best of several grids: the one with the most tokens a second, unless a simpler
// one comes near.
struct GridRate {
  GridShape grid;
  double tokens_per_s = 0;
};
size_t choose_among(const std::vector<GridRate>& grids);

struct IllegalGrid {
  GridShape grid;
  std::string reason;
};
// One replica's grids of so many ranks that cannot run the model.
std::vector<IllegalGrid> illegal_grids(const ModelConfig& config, int num_ranks);

// The answers as a table, the choice in words, and why other grids are illegal.
std::string describe_plan(const ModelConfig& config, const std::string& model,
                          const MachineRates& machine, const GridQuestion& question);

}  // namespace ll
