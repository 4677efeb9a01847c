#include "runtime/bench/bench_floor.h"

namespace ll {

BenchModel bench_model(const ModelConfig& config, const std::string& name, DType dtype, int ranks) {
  return {.name = name, .whole = rank_sizes(config, GridShape{}, dtype), .ranks = ranks};
}

Floor step_floor(const BenchModel& m, const DeviceTimes& rates, const StepWork& step,
                 const SharedStart& shared) {
  int64_t spared = step.sequences - shared.readers(step.sequences),
          positions = step.kv_positions - spared * shared.positions;
  double bytes = static_cast<double>(step.steps) * m.whole.weight_bytes() +
                 static_cast<double>(std::max<int64_t>(positions, 0)) * m.whole.kv_bytes();
  double flops = static_cast<double>(step.rows) * m.whole.flops_per_row() +
                 static_cast<double>(step.samples) * m.whole.flops_per_sample() +
                 static_cast<double>(step.attention_pairs) * m.whole.flops_per_pair();
  return {bytes / rates.bytes_per_s / m.ranks, flops / rates.flops_per_s / m.ranks};
}

}  // namespace ll
