#pragma once
// A whole decode step of one sequence as one kernel, for the shapes a backend has one for: at batch
// 1 the time goes into the seams between kernels. Absent (null in Backend) on a device without it;
// the layer-by-layer ops then do the step.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/layer_parts.h"

namespace ll {

// Ranks that share out the heads, FFN columns and vocabulary rows of a model, on devices that reach
// each other's memory, and do a step together. Each has a room of room_bytes(), zero before any of
// them runs a step.
struct FusedDecodeRanks {
  int32_t rank = 0;
  int64_t vocab_begin = 0;   // the first row of this rank's embed and lm_head
  std::vector<void*> rooms;  // of every rank, as this device sees them; empty: one rank alone
  int32_t num_blocks = 0;    // multiprocessors a step takes; 0: all, unless ranks share a device
};

// What a rank has of a model, bfloat16. Weights as Ops::pack_weight laid them out.
struct FusedDecodeModel {
  struct Layer {
    LayerOf<PartView> parts;
    KvPages kv;
  };
  int32_t num_heads = 0, num_kv_heads = 0, head_dim = 0;
  float eps = 0;
  FusedDecodeRanks ranks;
  Weight embed, lm_head;     // V x E
  TensorView final_norm;     // [E]
  TensorView cos_sin;        // [positions, D] float32, as RopeAndStoreArgs
  uint32_t first_epoch = 1;  // where the count of steps starts; a test has it start near its end
  std::vector<Layer> layers;
};

// One row. All pointers are device memory; ids, positions and slots have one entry, as in BatchView
// and EmbedArgs.
struct FusedDecodeStep {
  const int32_t* ids;
  const int32_t* last_tokens;
  const int32_t* positions;  // -1: nothing to do
  const int32_t* slots;
  const int32_t* page_table;
  int64_t page_table_stride;
  float* logits;  // [V]
};

struct FusedDecodeApi {
  // The size of each rank's room where there is a kernel for so many ranks, this one's part being
  // the model's; 0: there is none.
  size_t (&room_bytes)(const FusedDecodeModel& model, int num_ranks);
  // Null when there is no kernel for the shape and the parts. The views must outlive the handle.
  void* (&create)(const FusedDecodeModel& model);
  void (&destroy)(void* handle);
  // Positions of the longest sequence the kernel is meant for; beyond it the caller runs the ops.
  int64_t (&max_positions)(const void* handle);
  // Writes the row's keys and values to its page and the logits; can be captured in a graph.
  void (&run)(Stream stream, void* handle, const FusedDecodeStep& step);
};

}  // namespace ll
