#include "runtime/bench/bench_floor.h"

namespace ll {

BenchModel bench_model(const ModelConfig& c, const std::string& name, DType dtype, int ranks) {
  auto layers = static_cast<double>(c.num_layers), q = static_cast<double>(c.q_size()),
       kv = static_cast<double>(c.kv_size()), bytes = static_cast<double>(size_of(dtype)),
       body = layers * static_cast<double>(c.layer_weights()),
       head = static_cast<double>(c.vocab_size) * static_cast<double>(c.hidden_size);
  return {.name = name,
          .flops_per_row = 2 * body,
          .flops_per_sample = 2 * head,
          .flops_per_pair = 4 * layers * q,
          .weight_bytes = (body + head) * bytes,
          .kv_bytes = 2 * layers * kv * bytes,
          .ranks = ranks,
          .vocab_size = static_cast<int32_t>(c.vocab_size)};
}

Floor step_floor(const BenchModel& m, const DeviceTimes& rates, const StepWork& step,
                 int64_t shared) {
  int64_t positions = step.kv_positions - std::max<int64_t>(step.sequences - 1, 0) * shared;
  double bytes = static_cast<double>(step.steps) * m.weight_bytes +
                 static_cast<double>(std::max<int64_t>(positions, 0)) * m.kv_bytes;
  double flops = static_cast<double>(step.rows) * m.flops_per_row +
                 static_cast<double>(step.samples) * m.flops_per_sample +
                 static_cast<double>(step.attention_pairs) * m.flops_per_pair;
  return {bytes / rates.bytes_per_s / m.ranks, flops / rates.flops_per_s / m.ranks};
}

}  // namespace ll
