#pragma once
// The least time a device needs for given steps: what must be read at its read rate, or what must
// be multiplied at its matrix rate, whichever takes longer.
#include <algorithm>
#include <string>

#include "model/config/model_config.h"
#include "runtime/planning/machine_rates.h"
#include "runtime/schedule/step_work.h"

namespace ll {

// What a floor is computed from: matrices only, since norms and biases are next to nothing.
struct BenchModel {
  std::string name;
  double flops_per_row = 0;     // two per weight of the layers
  double flops_per_sample = 0;  // two per weight of the head, which works on drawn rows only
  double flops_per_pair = 0;    // of a query and a position: scores and weighted sum, all layers
  double weight_bytes = 0;      // a step reads, of all ranks of a replica together
  double kv_bytes = 0;          // of one position
  int ranks = 1;                // of a replica, that share both evenly
  int replicas = 1;
  int32_t vocab_size = 0;
};
BenchModel bench_model(const ModelConfig& config, const std::string& name, DType dtype, int ranks);

struct Floor {
  double read_seconds = 0, matrix_seconds = 0;

  double seconds() const { return std::max(read_seconds, matrix_seconds); }
  // "bandwidth" or "matrix rate"
  const char* limit() const { return read_seconds > matrix_seconds ? "bandwidth" : "matrix rate"; }
};

// The floor of steps, whose sequences begin with the same `shared` positions, which need reading
// once.
Floor step_floor(const BenchModel& model, const DeviceTimes& rates, const StepWork& step,
                 int64_t shared = 0);

}  // namespace ll
