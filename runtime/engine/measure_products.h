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

// Writes to the pages of `kv`, which nothing uses yet; `logits`: room for a decode step's.
// Collective over `replica`, the ranks of the model's grid.
void measure_products(const Backend& backend, Stream stream, const MpiGroup& replica,
                      Decoder& model, const KvCache& kv, TensorView logits,
                      const MeasuredSteps& steps);

}  // namespace ll
