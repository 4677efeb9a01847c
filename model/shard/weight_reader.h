#pragma once
// Streams weights from the file to the device: several readers fill staging buffers while earlier
// ones are copied.
#include <functional>
#include <vector>

#include "kernels/backend.h"
#include "model/files/weight_store.h"
#include "model/shard/decoder_weights.h"

namespace ll {

class WeightReader {
 public:
  static constexpr size_t kStagingBytes = size_t{32} << 20;

  // Two rows of a placement are staged at least, whatever `staging_bytes` says. Damaged weights are
  // an error unless `verifies` is off.
  WeightReader(const WeightStore& store, DType dtype, const Backend& backend, Stream stream,
               int num_threads, size_t staging_bytes = kStagingBytes, bool verifies = true)
      : store_(store),
        dtype_(dtype),
        backend_(backend),
        stream_(stream),
        num_threads_(num_threads),
        staging_bytes_(staging_bytes),
        verifies_(verifies) {}

  // Reads the placements in order. `done(i, tensor)` gets the i-th, complete on the device, on the
  // calling thread. An error of a reader is thrown here; no thread is left then either.
  void read(const WeightPlacements& placements, const std::function<void(size_t, Tensor)>& done,
            const LoadProgress& progress);

 private:
  const WeightStore& store_;
  DType dtype_;
  const Backend& backend_;
  Stream stream_;
  int num_threads_;
  size_t staging_bytes_;
  bool verifies_;
};

}  // namespace ll
