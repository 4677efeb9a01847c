#pragma once
// Steps on several grids, measured beside what the planner expected of them.
#include <utility>

#include "parallel/grid_shape.h"
#include "runtime/bench/bench_report.h"

namespace ll {

// Seconds of a replica's steps while all replicas work.
struct StepTimes {
  double prefill = 0;      // of several whole prompts
  double decode_one = 0;   // of one sequence
  double decode_many = 0;  // of many

  // The faster way for each.
  StepTimes best_with(const StepTimes& other) const;
};

struct GridTimes {
  GridShape grid;
  double weight_bytes = 0;  // of a rank
  double move_seconds = 0;  // until the weights were here; of the first grid: 0
  // Stationary, and where z > 1 gathered.
  struct Mode {
    bool gathered = false;
    StepTimes measured, predicted;
  };
  std::vector<Mode> modes;

  StepTimes measured() const;
  StepTimes predicted() const;
};

struct GridsResult {
  int num_ranks = 1;
  int64_t prompts = 0, prompt_len = 0;  // of the prefill step
  int64_t batch = 0, context = 0;       // of the decode step of many
  std::vector<GridTimes> grids;
  std::vector<std::pair<GridShape, std::string>> left_out;  // and why

  // Tokens a second where so many sequences run at a time, with answers as long as their prompts.
  double tokens_per_s(const GridShape& grid, const StepTimes& times) const;
  // Indices in `grids`, which is not empty: by what was measured, and the planner's choice.
  size_t best() const;
  size_t choice() const;
  // The choice's tokens a second as a share of the best's.
  double share_of_best() const;
};

BenchReport report(const BenchModel& model, const GridsResult& result);

}  // namespace ll
