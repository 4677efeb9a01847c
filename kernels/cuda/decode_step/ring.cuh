#pragma once
// How the persistent decode kernel reads its weights. One warp streams this block's rows of every
// matrix, in the order of their use, through a ring of stages in shared memory; eight warps
// multiply. The stream never waits for activations: while the warps wait for other blocks, the ring
// fills.
#include "base/numbers.h"
#include "kernels/cuda/decode_step/kernels.h"
#include "kernels/cuda/decode_step/stage_copy.cuh"
#include "kernels/cuda/decode_step/words.cuh"
#include "kernels/cuda/device/device_math.cuh"

namespace ll::cuda {

constexpr int kWarps = 8, kConsumers = 32 * kWarps, kThreads = kConsumers + 32;

__device__ inline void sync_consumers() { sync_some(/*id=*/1, kConsumers); }

// In the order of their use; a layer has those before the head.
enum Matrix : int { kQkv, kO, kGateUp, kDown, kHead, kNumMatrices };

// The rows of a matrix that this block multiplies, a run of whole units.
struct Share {
  int first_row, num_rows;
  uint32_t row_bytes, stage_bytes;
};

// y = W x, W [kRows, kCols]. A stage is kStageRows whole rows, a row kSegments pieces, a piece one
// warp's work: a warp always has the same piece of x, in registers.
template <FusedShape kShape, int kRows, int kCols, int kUnit = 1>
struct Product {
  static constexpr int kSegments = kCols <= 2048 ? 1 : kCols <= 4096 ? 2 : kCols <= 8192 ? 4 : 8;
  static constexpr int kStageRows = kCols <= 1024 ? 2 * kWarps : kWarps / kSegments;
  static constexpr int kStagePieces = kStageRows * kSegments;
  static constexpr int kRowBytes = 2 * kCols, kStageBytes = kStageRows * kRowBytes;
  static constexpr int kVectors = kCols / kSegments / kVectorWidth;  // of a piece
  static constexpr int kLaneVectors = ceil_div(kVectors, 32);
  static constexpr int kMostRows = (kRows / kUnit / kShape.min_blocks + 1) * kUnit;  // of a block
  static_assert(kCols % (kSegments * kVectorWidth) == 0 && kRows % kUnit == 0);
  static_assert(kRows / kUnit >= kMaxBlocks, "each block must tell the others something");

  static __device__ Share share() {
    auto cut = [](unsigned block) {
      return static_cast<int>(kRows / kUnit * block / gridDim.x * kUnit);
    };
    int first = cut(blockIdx.x);
    return {first, cut(blockIdx.x + 1) - first, kRowBytes, kStageBytes};
  }
};

struct Ring {
  char* stages;            // [num_stages, stage_bytes]
  uint64_t *full, *empty;  // [num_stages]
  int num_stages, stage_bytes;
  RingPosition at;

  __device__ char* stage() const { return stages + at.stage * stage_bytes; }

  // The producer's: the next stage, empty, and to be filled with so many bytes.
  __device__ char* claim(uint32_t bytes) const {
    wait_stage(empty + at.stage, at.parity ^ 1);
    begin_stage(full + at.stage, bytes);
    return stage();
  }
  __device__ void copy(char* to, const void* from, uint32_t bytes) const {
    copy_to_stage(to, from, bytes, full + at.stage);
  }
  __device__ void copy_once(char* to, const void* from, uint32_t bytes) const {
    copy_once_to_stage(to, from, bytes, full + at.stage);
  }
  // All is on its way; on to the next stage.
  __device__ void fill() {
    end_stage(full + at.stage);
    at.advance(num_stages);
  }

  // The consumers': the next stage, full; each thread gives it back.
  __device__ char* await() const {
    wait_stage(full + at.stage, at.parity);
    return stage();
  }
  __device__ void release() {
    order_shared_accesses();
    __syncwarp();  // together they arrive faster
    give_back(empty + at.stage);
    at.advance(num_stages);
  }
};

// ---- the producer

// A place in the weights a block reads in a step, matrix after matrix.
struct WeightCursor {
  const FusedLayer* layers;
  const bf16* lm_head;
  const Share* shares;  // [kNumMatrices]
  int last;             // index of lm_head
  int index = 0;
  const char* from = nullptr;
  uint32_t left = 0, stage_bytes = 0;

  __device__ void open(int i) {
    const bf16* weight = i == last ? lm_head : layers[i / kHead].weights[i % kHead];
    Share s = shares[i == last ? static_cast<int>(kHead) : i % kHead];
    index = i;
    from = reinterpret_cast<const char*>(weight) + int64_t{s.first_row} * s.row_bytes;
    left = static_cast<uint32_t>(s.num_rows) * s.row_bytes;
    stage_bytes = s.stage_bytes;
  }

  // Passes a stage; its bytes begin at the old `from`.
  __device__ uint32_t next() {
    uint32_t bytes = min(stage_bytes, left);
    from += bytes;
    left -= bytes;
    return bytes;
  }
};

__device__ inline void copy_stage(Ring& ring, WeightCursor& cursor) {
  const char* from = cursor.from;
  uint32_t bytes = cursor.next();
  ring.copy_once(ring.claim(bytes), from, bytes);
  ring.fill();
}

// ---- the consumers

// A piece of a row times x; past the piece's end x is zero and the weight is read from inside it
// (at `last`), so that no lane leaves the others. The sum is in every lane.
template <int kVectors>
__device__ float multiply_piece(const uint4* weight, const float (&x)[kVectors][kVectorWidth],
                                int last) {
  int lane = threadIdx.x % 32;
  float even[2] = {}, odd[2] = {};
#pragma unroll
  for (int c = 0; c < kVectors; ++c) {
    float w[kVectorWidth];
    unpack(weight[c + 1 < kVectors ? c * 32 + lane : last], w);
#pragma unroll
    for (int i = 0; i < kVectorWidth; i += 2) {
      even[c % 2] = fmaf(w[i], x[c][i], even[c % 2]);
      odd[c % 2] = fmaf(w[i + 1], x[c][i + 1], odd[c % 2]);
    }
  }
  return warp_sum((even[0] + odd[0]) + (even[1] + odd[1]));
}

// sums [num_rows, kSegments] of this block's rows, whose weights are next in the ring.
template <class P>
__device__ void multiply(Ring& ring, int num_rows, const bf16* x, float* sums) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int last = min((P::kLaneVectors - 1) * 32 + lane, P::kVectors - 1);
  auto* from = reinterpret_cast<const uint4*>(x) + warp % P::kSegments * P::kVectors;
  float piece_of_x[P::kLaneVectors][kVectorWidth];
#pragma unroll
  for (int c = 0; c < P::kLaneVectors; ++c) {
    int i = c * 32 + lane;
    unpack(i < P::kVectors ? from[i] : make_uint4(0, 0, 0, 0), piece_of_x[c]);
  }
  for (int row = 0; row < num_rows; row += P::kStageRows) {
    auto* stage = reinterpret_cast<const uint4*>(ring.await());
    int num_pieces = min(P::kStageRows, num_rows - row) * P::kSegments;
#pragma unroll
    for (int first = 0; first < P::kStagePieces; first += kWarps) {
      int piece = first + warp;
      if (piece >= num_pieces) break;
      float sum = multiply_piece(stage + piece * P::kVectors, piece_of_x, last);
      if (lane == 0) sums[row * P::kSegments + piece] = sum;
    }
    ring.release();
  }
  sync_consumers();
}

template <class P>
__device__ float sum_of_row(const float* sums, int row) {
  float sum = 0;
#pragma unroll
  for (int s = 0; s < P::kSegments; ++s) sum += sums[row * P::kSegments + s];
  return sum;
}

}  // namespace ll::cuda
