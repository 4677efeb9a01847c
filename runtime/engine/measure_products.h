#pragma once
// Lets the backend measure how to do the products of the steps to come, so that none of them waits
// for it: alone, for all numbers of rows, and then in decode steps, for those of up to 64 rows that
// are captured.
#include <vector>

#include "model/decoder/decoder.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

struct MeasuredSteps {
  int64_t max_tokens;                // of a step
  std::vector<int32_t> decode_rows;  // of the decode steps that are captured, increasing
  int64_t max_length;                // positions of a sequence
};

// The rank's part of a model whose products are measured.
struct MeasuredModel {
  const Backend& backend;
  Stream stream;
  const MpiGroup& replica;  // the ranks of the model's grid
  Decoder& decoder;
  const KvCache& kv;  // whose pages nothing uses yet: they are written to
  TensorView logits;  // room for a decode step's
};

// Layers that are enough to measure on: more bytes of weights than caches hold.
int64_t num_measured_layers(const ModelConfig& config, DType dtype);

// Collective over the replica.
void measure_products(const MeasuredModel& model, const MeasuredSteps& steps);

}  // namespace ll
