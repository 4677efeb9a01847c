// Attention over paged KV, causal, ragged, grouped heads; online softmax over blocks of 128
// positions [Dao et al. 2022]. Blocks are cut at absolute positions, so a float32 row comes out the
// same whether it runs in a chunk or alone, and for any page size. One task is one KV head and up
// to 64 rows of one sequence: its keys and values are packed into panels once for all query heads
// of the group. Decode rows of bfloat16 skip the packing and read the pages directly.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/rows.h"

namespace ll::cpu {
namespace {

constexpr int64_t kBlock = 128;  // positions
constexpr int kTileRows = 64;

struct Task {
  int32_t first_row, num_rows, kv_head;
};

struct Shape2 {
  int64_t heads, kv_heads, dim, padded_dim;  // padded to whole panels
  int64_t group() const { return heads / kv_heads; }
  int64_t qkv() const { return (heads + 2 * kv_heads) * dim; }
};

template <class T>
struct Workspace {
  explicit Workspace(const Shape2& s)
      : keys(static_cast<size_t>(kBlock * s.padded_dim)),
        values(keys.size()),
        zeros(static_cast<size_t>(s.dim)),
        queries(static_cast<size_t>(s.group() * kTileRows * s.dim)),
        scores(static_cast<size_t>(kTileRows * kBlock)),
        weights(scores.size()),
        block_out(static_cast<size_t>(kTileRows * s.padded_dim)),
        out(static_cast<size_t>(s.group() * kTileRows * s.padded_dim)),
        max(static_cast<size_t>(s.group() * kTileRows)),
        sum(max.size()) {}
  std::vector<T> keys, values;        // panels: two of [D][64], and [128][padded D]
  std::vector<T> zeros;               // [D], of positions that are not there
  std::vector<T> queries;             // [group][rows][D]
  std::vector<float> scores;          // [rows][128]
  std::vector<T> weights;             // the same, for the product with the values
  std::vector<float> block_out, out;  // [rows][padded D], [group][rows][padded D]
  std::vector<float> max, sum;        // [group][rows]
};

// The row of (page of position, kv head, position) in the pool.
template <class T>
const T* kv_row(const TensorView& pool, const int32_t* pages, int64_t kv_head, int64_t position) {
  int64_t page_size = pool.dim(2);
  int64_t page = pages[position / page_size];
  return static_cast<const T*>(pool.data) +
         ((page * pool.dim(1) + kv_head) * page_size + position % page_size) * pool.dim(3);
}

// Keys go to panels of 64 positions; float32 values stay as they are, those of bfloat16 are paired
// with the next position's.
void pack_key(float* panel, const float* k, int64_t position, int64_t dim) {
  for (int64_t d = 0; d < dim; ++d) panel[panel_offset<float>(d, position)] = k[d];
}
void pack_key(bf16* panel, const bf16* k, int64_t position, int64_t dim) {
  for (int64_t d = 0; d < dim; d += 2)
    std::memcpy(panel + panel_offset<bf16>(d, position), k + d, 2 * sizeof(bf16));
}
void pack_values(float* to, const float* v, const float* next, int64_t dim, int64_t padded_dim) {
  std::copy_n(v, dim, to);
  std::copy_n(next, dim, to + padded_dim);
}
void pack_values(bf16* to, const bf16* v, const bf16* next, int64_t dim, int64_t) {
  for (int64_t d = 0; d < dim; ++d) {
    to[2 * d] = v[d];
    to[2 * d + 1] = next[d];
  }
}

// Positions [begin, begin + count) of one head; what is missing of whole panels is zero, so that no
// stale memory meets a zero weight.
template <class T>
void pack_block(const AttentionArgs& a, const int32_t* pages, int64_t kv_head, int64_t begin,
                int64_t count, const Shape2& s, Workspace<T>& w) {
  auto row = [&](const TensorView& pool, int64_t j) {
    return j < count ? kv_row<T>(pool, pages, kv_head, begin + j) : w.zeros.data();
  };
  for (int64_t j = 0; j < round_up(count, kPanelCols); ++j)
    pack_key(w.keys.data() + j / kPanelCols * kPanelCols * s.dim, row(a.kv.k, j), j % kPanelCols,
             s.dim);
  for (int64_t j = 0; j < round_up(count, kPanelCols); j += 2)
    pack_values(w.values.data() + j * s.padded_dim, row(a.kv.v, j), row(a.kv.v, j + 1), s.dim,
                s.padded_dim);
}

void panel_product(const float* x, int64_t ldx, const float* panel, int64_t stride, int64_t depth,
                   int64_t rows, float* y, int64_t ldy) {
  simd().gemm_f32(x, ldx, panel, stride, depth, rows, y, ldy);
}
void panel_product(const bf16* x, int64_t ldx, const bf16* panel, int64_t stride, int64_t depth,
                   int64_t rows, float* y, int64_t ldy) {
  simd().gemm_bf16({x, ldx, panel, 2 * stride, depth, rows, y, ldy});
}
float* panel_columns(float* panel, int64_t column) { return panel + column; }
bf16* panel_columns(bf16* panel, int64_t column) { return panel + 2 * column; }

float softmax_step(float* weights, const float* scores, int64_t n, int64_t width, float scale,
                   float* max, float* sum) {
  return simd().softmax_step_f32(weights, scores, n, width, scale, max, sum);
}
float softmax_step(bf16* weights, const float* scores, int64_t n, int64_t width, float scale,
                   float* max, float* sum) {
  return simd().softmax_step_bf16(weights, scores, n, width, scale, max, sum);
}

// Own positions among the first `length` of a sequence.
int64_t num_own(const AttentionArgs& a, int64_t length) {
  return a.kv.split.count(static_cast<int32_t>(length));
}

// Folds the first `width` positions of a block, whole panels, into the running softmax of `rows`
// rows of one query head. Row r may see valid[r] of them.
template <class T>
void fold_block(const Shape2& s, int rows, int64_t width, const int64_t* valid, const T* queries,
                float scale, float* max, float* sum, float* out, Workspace<T>& w) {
  for (int64_t j = 0; j < width; j += kPanelCols)
    panel_product(queries, s.dim, w.keys.data() + j * s.dim, kPanelCols, s.dim, rows,
                  w.scores.data() + j, kBlock);
  float correction[kTileRows];
  for (int r = 0; r < rows; ++r) {
    T* weights = w.weights.data() + r * kBlock;
    correction[r] = 1.0f;
    if (valid[r] == 0)
      std::fill(weights, weights + width, T{});
    else
      correction[r] = softmax_step(weights, w.scores.data() + r * kBlock, valid[r], width, scale,
                                   max + r, sum + r);
  }
  for (int64_t c = 0; c < s.padded_dim; c += kPanelCols)
    panel_product(w.weights.data(), kBlock, panel_columns(w.values.data(), c), s.padded_dim, width,
                  rows, w.block_out.data() + c, s.padded_dim);
  for (int r = 0; r < rows; ++r)
    simd().scale_add(out + r * s.padded_dim, w.block_out.data() + r * s.padded_dim, correction[r],
                     s.padded_dim);
}

void store_log_sum(const AttentionArgs& a, int64_t row, int64_t head, float max, float sum) {
  if (a.log_sums) a.log_sums[row * a.num_heads + head] = sum > 0 ? max + std::log(sum) : -INFINITY;
}

// Rows of one sequence at consecutive positions, all query heads of one KV head.
template <class T>
void attend_tile(const AttentionArgs& a, const Task& task, const Shape2& s, Workspace<T>& w) {
  const BatchView& b = a.batch;
  int rows = task.num_rows;
  int64_t first = b.positions[task.first_row];
  const int32_t* pages = b.page_table + b.slots[task.first_row] * b.page_table_stride;
  int64_t tile = static_cast<int64_t>(rows) * s.dim, padded_tile = rows * s.padded_dim;
  for (int64_t g = 0; g < s.group(); ++g)
    for (int r = 0; r < rows; ++r)
      std::copy_n(
          a.qkv.as<T>() + (task.first_row + r) * s.qkv() + (task.kv_head * s.group() + g) * s.dim,
          s.dim, w.queries.data() + g * tile + r * s.dim);
  std::fill(w.out.begin(), w.out.end(), 0.0f);
  std::fill(w.sum.begin(), w.sum.end(), 0.0f);
  std::fill(w.max.begin(), w.max.end(), -std::numeric_limits<float>::infinity());
  float scale = 1.0f / std::sqrt(static_cast<float>(s.dim));
  int64_t length = num_own(a, first + rows);
  for (int64_t begin = 0; begin < length; begin += kBlock) {
    int64_t count = std::min(kBlock, length - begin), valid[kTileRows];
    pack_block(a, pages, task.kv_head, begin, count, s, w);
    for (int r = 0; r < rows; ++r)
      valid[r] = std::clamp<int64_t>(num_own(a, first + r + 1) - begin, 0, kBlock);
    for (int64_t g = 0; g < s.group(); ++g)
      fold_block(s, rows, round_up(count, kPanelCols), valid, w.queries.data() + g * tile, scale,
                 w.max.data() + g * rows, w.sum.data() + g * rows, w.out.data() + g * padded_tile,
                 w);
  }
  for (int64_t g = 0; g < s.group(); ++g)
    for (int r = 0; r < rows; ++r) {
      float* o = w.out.data() + g * padded_tile + r * s.padded_dim;
      auto i = static_cast<size_t>(g * rows + r);
      float inverse = w.sum[i] > 0 ? 1.0f / w.sum[i] : 0.0f;
      store_log_sum(a, task.first_row + r, task.kv_head * s.group() + g, w.max[i], w.sum[i]);
      for (int64_t d = 0; d < s.dim; ++d) o[d] *= inverse;
      store_row(a.out.as<T>() + (task.first_row + r) * s.heads * s.dim +
                    (task.kv_head * s.group() + g) * s.dim,
                o, s.dim);
    }
}

// One bfloat16 decode row and KV head straight from the pages: two passes over the scores.
void attend_row(const AttentionArgs& a, const Task& task, const Shape2& s,
                std::vector<float>& scratch) {
  const BatchView& b = a.batch;
  int64_t length = num_own(a, b.positions[task.first_row] + 1), group = s.group();
  const int32_t* pages = b.page_table + b.slots[task.first_row] * b.page_table_stride;
  scratch.resize(static_cast<size_t>(group * (2 * s.dim + length)));
  float *queries = scratch.data(), *out = queries + group * s.dim, *scores = out + group * s.dim;
  simd().widen(queries, a.qkv.as<bf16>() + task.first_row * s.qkv() + task.kv_head * group * s.dim,
               group * s.dim);
  for (int64_t j = 0; j < length; ++j) {
    const bf16* k = kv_row<bf16>(a.kv.k, pages, task.kv_head, j);
    for (int64_t g = 0; g < group; ++g)
      scores[g * length + j] = simd().dot_bf16(queries + g * s.dim, k, s.dim);
  }
  float scale = 1.0f / std::sqrt(static_cast<float>(s.dim));
  std::fill(out, out + group * s.dim, 0.0f);
  for (int64_t g = 0; g < group; ++g) {
    float* score = scores + g * length;
    for (int64_t j = 0; j < length; ++j) score[j] *= scale;
    float max = simd().max(score, length), sum = simd().exp_sum(score, length, max);
    store_log_sum(a, task.first_row, task.kv_head * group + g, max, sum);
    float inverse = 1.0f / sum;
    for (int64_t j = 0; j < length; ++j) score[j] *= inverse;
  }
  for (int64_t j = 0; j < length; ++j) {
    const bf16* v = kv_row<bf16>(a.kv.v, pages, task.kv_head, j);
    for (int64_t g = 0; g < group; ++g)
      simd().axpy_bf16(out + g * s.dim, v, scores[g * length + j], s.dim);
  }
  simd().narrow(a.out.as<bf16>() + (task.first_row * s.heads + task.kv_head * group) * s.dim, out,
                group * s.dim);
}

std::vector<Task> list_tasks(const AttentionArgs& a) {
  std::vector<Task> tasks;
  const BatchView& b = a.batch;
  for (const Chunk& c : b.chunks)
    for (int32_t r = 0; r < c.num_rows; r += kTileRows)
      for (int32_t h = 0; h < a.num_kv_heads; ++h)
        tasks.push_back({c.first_row + r, std::min(kTileRows, c.num_rows - r), h});
  for (int32_t row = 0; row < b.num_decode; ++row)
    if (b.positions[row] >= 0)
      for (int32_t h = 0; h < a.num_kv_heads; ++h) tasks.push_back({row, 1, h});
  // The most work first: rows times the positions they see.
  auto work = [&](const Task& t) {
    return int64_t{t.num_rows} * (b.positions[t.first_row] + t.num_rows);
  };
  std::stable_sort(tasks.begin(), tasks.end(),
                   [&](const Task& x, const Task& y) { return work(x) > work(y); });
  return tasks;
}

template <class T>
void attend(const AttentionArgs& a, const Shape2& s) {
  std::vector<Task> tasks = list_tasks(a);
#pragma omp parallel
  {
    Workspace<T> workspace(s);
    std::vector<float> scratch;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < tasks.size(); ++i) {
      if constexpr (std::is_same_v<T, bf16>)
        if (tasks[i].num_rows == 1) {
          attend_row(a, tasks[i], s, scratch);
          continue;
        }
      attend_tile(a, tasks[i], s, workspace);
    }
  }
}

}  // namespace

void begin_step(Stream, const BatchView&, const AttentionShape&) {}

void attention(Stream, const AttentionArgs& a) {
  int64_t dim = a.kv.k.dim(3);
  Shape2 s{a.num_heads, a.num_kv_heads, dim, round_up(dim, kPanelCols)};
  ensure(dim % 2 == 0 && s.heads % s.kv_heads == 0, "attention: head shapes");
  ensure(a.kv.split.parts == 1 || a.log_sums, "attention: log-sums");
  ensure(a.qkv.dim(1) == s.qkv() && a.out.dim(1) == s.heads * dim, "attention: widths");
  if (a.out.dtype == DType::f32)
    attend<float>(a, s);
  else
    attend<bf16>(a, s);
}

}  // namespace ll::cpu
