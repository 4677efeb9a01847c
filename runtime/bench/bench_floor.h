#pragma once
// The least time a device needs for given steps: what must be read at its read rate, or what must
// be multiplied at its matrix rate, whichever takes longer.
#include <algorithm>
#include <string>

#include "base/numbers.h"
#include "model/config/model_config.h"
#include "runtime/planning/machine_rates.h"
#include "runtime/planning/rank_sizes.h"
#include "runtime/schedule/step_work.h"

namespace ll {

// The model of a benchmark, which the ranks of a replica share evenly.
struct BenchModel {
  std::string name;
  RankSizes whole;
  int ranks = 1;  // of a replica
  int replicas = 1;

  auto vocab_size() const { return static_cast<int32_t>(whole.vocab); }
};
BenchModel bench_model(const ModelConfig& config, const std::string& name, DType dtype, int ranks);

struct Floor {
  double read_seconds = 0, matrix_seconds = 0;

  double seconds() const { return std::max(read_seconds, matrix_seconds); }
  // "bandwidth" or "matrix rate"
  const char* limit() const { return read_seconds > matrix_seconds ? "bandwidth" : "matrix rate"; }
};

// Positions that several sequences begin with, which need reading once a step for all of them.
struct SharedStart {
  int64_t positions = 0;
  int64_t sequences = 0;  // that have the same ones; 0: all

  // How many of `count` sequences read them at least.
  int64_t readers(int64_t count) const {
    return sequences == 0 ? std::min<int64_t>(count, 1) : ceil_div(count, sequences);
  }
};

Floor step_floor(const BenchModel& model, const DeviceTimes& rates, const StepWork& step,
                 const SharedStart& shared = {});

}  // namespace ll
