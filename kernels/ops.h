#pragma once
// The ops of one device, the whole arithmetic of a Qwen2 step. A backend is a struct of references
// to functions of the same names (cpu/cpu_backend.cpp, cuda/cuda_backend.cpp). Shapes stand beside
// the tensors; activations are bfloat16 or float32 ("the model's dtype"), sums are float32. T:
// tokens of the step (rows), E: hidden size, H and KH: query and KV heads of this rank, D: head
// dim, F: FFN columns of this rank, V: vocabulary rows of this rank.
//
// The batch is ragged, never padded: rows [0, num_decode) are decode rows, one sequence each; the
// chunks of prompts follow, each a run of rows of one sequence.
#include <array>
#include <cstdint>
#include <span>

#include "base/numbers.h"
#include "kernels/device_api.h"
#include "kernels/pages.h"
#include "kernels/position_split.h"
#include "kernels/sampling_ops.h"
#include "kernels/speculation_ops.h"
#include "kernels/tensor.h"

namespace ll {

// The weight of y = x W^T, in the layout Ops::pack_weight chose for the device.
struct Weight {
  TensorView data;
  int64_t rows = 0;  // outputs
  int64_t cols = 0;  // inputs
};

// A run of rows of one sequence: rows [first_row, first_row + num_rows) hold positions
// first_position...
struct Chunk {
  int32_t slot = 0;
  int32_t first_row = 0;
  int32_t num_rows = 0;
  int32_t first_position = 0;
};

// One step's rows as every layer sees them. All pointers but `chunks` are device memory, valid
// until the step's work is done.
struct BatchView {
  int32_t num_tokens = 0;               // rows in all
  int32_t num_decode = 0;               // rows [0, num_decode)
  const int32_t* positions = nullptr;   // [num_tokens] position in the sequence; -1: an unused row
  const int32_t* slots = nullptr;       // [num_tokens] row of page_table
  const int32_t* page_table = nullptr;  // [num_slots, page_table_stride] page ids
  int64_t page_table_stride = 0;
  std::span<const Chunk> chunks;         // host
  const Chunk* device_chunks = nullptr;  // the same on the device
  int32_t max_kv_length = 0;             // no row's position reaches this
  // Prefixes that attention may read once for several decode rows; what it computes is the same up
  // to the order of sums. A captured step has as many entries each time, some of no rows at the
  // end.
  int32_t num_prefix_groups = 0;
  const PrefixGroup* prefix_groups = nullptr;  // [num_prefix_groups]
  const int32_t* row_groups = nullptr;  // [num_decode] the innermost group of a row; -1: none
};

// One layer's KV pages of this rank, each [num_pages, KH, page_size, D] of the model's dtype. Where
// ranks share the positions, split.page_size is page_size.
struct KvPages {
  TensorView k, v;
  PositionSplit split{};
  int64_t page_size() const { return k.dim(2); }
};

struct EmbedArgs {
  TensorView out;              // [T, E]
  Weight table;                // vocabulary rows [vocab_begin, vocab_begin + V) of all E
  const int32_t* ids;          // [T]; a negative id ~s stands for last_tokens[s]
  const int32_t* last_tokens;  // [num_slots]
  int64_t vocab_begin;         // rows of other ranks' ids are zero
};

// residual += delta (unless delta is empty); out = residual / rms(residual) * weight   [Zhang &
// Sennrich 2019]. With sum_squares, of rows of which this rank has a part: out = residual * weight,
// and the squares of the part are summed; finish_linear divides by the whole row's rms later.
struct AddRmsNormArgs {
  TensorView out;       // [T, E]
  TensorView residual;  // [T, E], updated
  TensorView delta;     // [T, E] or empty
  TensorView weight;    // [E]
  float eps;
  float* sum_squares = nullptr;  // [T]
  // As sum_squares, of whole rows: the squares are added to that of row t at [t * kSquaresStride],
  // in units of 1 / kSquaresUnit; integers, so that the order does not matter.
  // LinearArgs::x_squares takes them.
  uint64_t* row_squares = nullptr;
};
constexpr int64_t kMostDeferredRows = 256;  // of a step whose norms are done so
constexpr int64_t kSquaresStride = 8;       // each in a sector of memory of its own
constexpr float kSquaresUnit = 16777216.0f;

// What rows x that are normalised but for their scale lack.
struct RowSquares {
  const uint64_t* sums;  // see AddRmsNormArgs::row_squares
  float eps;
};

// Rotates q in place and writes rotated k, and v, to their pages, where the position is this
// rank's. Elements 2 i and 2 i + 1 of a head turn together, as in Su et al. 2021. Qwen2's files lay
// them out D/2 apart; the rows of the weights that make them are put in this order when they are
// loaded (products of q and k do not depend on it).
struct RopeAndStoreArgs {
  TensorView qkv;      // [T, (H + 2 KH) D]: q heads, k heads, v heads
  TensorView cos_sin;  // [positions, D] float32: D/2 cosines, then D/2 sines
  KvPages kv;
  BatchView batch;
  int32_t num_heads, num_kv_heads;
};

// What a product ends with; its arguments are borrowed.
class Ending {
 public:
  enum class Kind : uint8_t { kNone, kSiluAndMul, kRope, kNorm };

  constexpr Ending() = default;
  // Rows of the weight alternate gate, up; out[i] = silu(gate_i) * up_i   [Shazeer 2020, SwiGLU].
  static constexpr Ending silu_and_mul() { return Ending(Kind::kSiluAndMul); }
  // This op is then done to `out`, which is its qkv.
  static constexpr Ending rope_and_store(const RopeAndStoreArgs& rope) {
    Ending ending(Kind::kRope);
    ending.rope_ = &rope;
    return ending;
  }
  // This op is then done with `out` as its delta; it has row_squares.
  static constexpr Ending add_rms_norm(const AddRmsNormArgs& norm) {
    Ending ending(Kind::kNorm);
    ending.norm_ = &norm;
    return ending;
  }

  constexpr Kind kind() const { return kind_; }
  constexpr bool is_silu() const { return kind_ == Kind::kSiluAndMul; }
  // Null where it is another kind.
  constexpr const RopeAndStoreArgs* rope() const { return kind_ == Kind::kRope ? rope_ : nullptr; }
  constexpr const AddRmsNormArgs* norm() const { return kind_ == Kind::kNorm ? norm_ : nullptr; }

 private:
  constexpr explicit Ending(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::kNone;
  const RopeAndStoreArgs* rope_ = nullptr;
  const AddRmsNormArgs* norm_ = nullptr;
};

// out = x W^T + bias
struct LinearArgs {
  TensorView out;  // [T, rows], or [T, rows / 2] after SiLU-and-mul; x's dtype or float32
  TensorView x;    // [T, cols]
  Weight weight;
  TensorView bias;  // [rows] or empty
  Ending ending;
  // x lacks its scale: each row's product is divided by sqrt(squares / cols + eps).
  const RowSquares* x_squares = nullptr;
};

// What a product of rows that were not yet normalised lacks once its parts are summed:
// out = ending(x / sqrt(sum_squares / width + eps) + bias).
struct FinishLinearArgs {
  TensorView out;            // [T, n], may be x; or [T, n / 2] after SiLU-and-mul
  TensorView x;              // [T, n]
  const float* sum_squares;  // [T], of the whole rows
  int64_t width;             // of the whole rows
  float eps;
  TensorView bias;  // [n] or empty
  Ending ending;    // none or SiLU-and-mul
};

// What the attention of all layers of a rank has in common.
struct AttentionShape {
  int32_t num_heads, num_kv_heads, head_dim;
  PositionSplit split{};  // as in the layers' KvPages
};

// out = softmax(q k^T / sqrt(D)) v, causal, over the pages of each row's sequence (positions 0 to
// the row's own), and where it is wanted the log of the sum of exp(q k^T / sqrt(D)). Where ranks
// share the positions: over this rank's; of no position at all, zeros and -inf.
struct AttentionArgs {
  TensorView out;  // [T, H D]
  TensorView qkv;  // [T, (H + 2 KH) D], q rotated
  KvPages kv;
  BatchView batch;
  int32_t num_heads, num_kv_heads;
  float* log_sums = nullptr;  // [T, H] or null; needed when kv.split.parts > 1
};

// Attention over parts of the positions, on its way between the ranks that hold them: for each rank
// one part, of log-sums [T, H] float32, then, from a multiple of 16 bytes on, T rows of `width`
// values of `dtype`.
struct AttentionParts {
  void* data = nullptr;
  int64_t rows = 0, heads = 0, width = 0;
  DType dtype = DType::f32;

  constexpr size_t values_offset() const {
    return round_up(static_cast<size_t>(rows * heads) * sizeof(float), size_t{16});
  }
  constexpr size_t part_bytes() const {
    size_t bytes = values_offset() + static_cast<size_t>(rows * width) * size_of(dtype);
    return round_up(bytes, size_t{16});
  }
};

// Part b gets all log-sums and columns [b / copies * width, ... + width) of the values.
struct PackAttentionArgs {
  AttentionParts to;
  int32_t num_parts, copies;
  TensorView out;         // [T, H D], of the op attention
  const float* log_sums;  // [T, H]
};

// The parts, weighted with exp(log-sum), are added and normalised: columns [first_column,
// first_column + width) of attention over all positions [Milakov & Gimelshein 2018].
struct MergeAttentionArgs {
  TensorView out;  // [T, width]
  AttentionParts from;
  int32_t num_parts;
  int64_t first_column, head_dim;
};

struct Ops {
  // Once a step, before its layers: what all layers' attention shares (work lists on the device).
  void (&begin_step)(Stream, const BatchView&, const AttentionShape&);
  // Device bytes of a packed weight.
  size_t (&packed_bytes)(int64_t rows, int64_t cols, DType dtype);
  // Takes [rows, cols] of the model's dtype (bfloat16 or float32) on the device.
  Weight (&pack_weight)(Stream, const Tensor& natural, Tensor& storage);
  // The natural matrix again; it may be the storage itself.
  Tensor (&unpack_weight)(Stream, const Weight&, const Tensor& storage);
  void (&embed)(Stream, const EmbedArgs&);
  void (&add_rms_norm)(Stream, const AddRmsNormArgs&);
  void (&linear)(Stream, const LinearArgs&);
  void (&rope_and_store_kv)(Stream, const RopeAndStoreArgs&);
  void (&attention)(Stream, const AttentionArgs&);
  void (&finish_linear)(Stream, const FinishLinearArgs&);
  void (&pack_attention)(Stream, const PackAttentionArgs&);
  void (&merge_attention)(Stream, const MergeAttentionArgs&);
  void (&add)(Stream, TensorView to, TensorView x);  // to += x
  // Columns [from_column, from_column + columns) of x go to columns [to_column, ...) of `to`; both
  // have the same number of rows.
  void (&copy_columns)(Stream, TensorView to, int64_t to_column, TensorView x, int64_t from_column,
                       int64_t columns);
  void (&gather_rows)(Stream, TensorView out, TensorView x,
                      const int32_t* rows);  // out[i] = x[rows[i]]
  // Device arrays of `count` entries.
  void (&update_page_table)(Stream, int32_t* page_table, int64_t stride, const PageDelta*,
                            int32_t count);
  // pools [num_pools, num_pages, KH, page_size * D]: all layers' keys and values.
  void (&copy_pages)(Stream, TensorView pools, int64_t page_size, const PageCopy*, int32_t count);
  // Pseudo-random weights that depend on the seed and an element's global index only, so that a
  // shard equals the slice of the whole: element (r, c) of the view is number (row0 + r) *
  // full_cols + col0 + c; uniform in (-scale, scale).
  void (&fill_random)(Stream, TensorView out, uint64_t seed, float scale, int64_t row0,
                      int64_t col0, int64_t full_cols);
  SamplingOps sampling;
  SpeculationOps speculation;
};

}  // namespace ll
