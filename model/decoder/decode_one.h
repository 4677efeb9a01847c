#pragma once
// The whole step of one decode row in one kernel: on a device that holds the whole model, or on
// several that share out its heads, FFN columns and vocabulary rows and reach each other's memory.
#include <cstdint>
#include <memory>

#include "kernels/fused_decode.h"
#include "model/decoder/kv_cache.h"
#include "model/shard/decoder_weights.h"
#include "model/shard/model_shard.h"
#include "parallel/process_grid.h"

namespace ll {

class DecodeOne {
 public:
  // Null, on all ranks of the replica, where there is no kernel for the model on so many. All that
  // is given outlives this, the weights and pages without moving; `angles`: [positions, D], as
  // rope_table makes them. Collective over the replica.
  static std::unique_ptr<DecodeOne> make(const FusedDecodeApi& api, const ModelPart& part,
                                         const DecoderWeights& weights, const Tensor& angles,
                                         const KvCache& kv, const ProcessGrid& grid);

  bool can(int32_t position) const { return position < max_positions_; }
  void run(Stream stream, const FusedDecodeStep& step) const;

 private:
  DecodeOne(const FusedDecodeApi& api, void* handle);

  const FusedDecodeApi& api_;
  std::shared_ptr<void> handle_;
  int64_t max_positions_;
};

}  // namespace ll
