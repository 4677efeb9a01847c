// The draw, and the largest logits of a row: candidates as single numbers, so that the best of them
// is a maximum.
#include "base/random.h"
#include "kernels/cuda/sampling/sampling_rows.cuh"

namespace ll::cuda {
namespace {

// How far bounds of a score are taken apart: for what lg2.approx is off, and for the roundings of a
// score, relative.
constexpr float kLogError = 0.01f, kRounding = 1e-6f;

// One row's draw: the best candidate of the slices so far, and how many of them are done. Zero
// between draws.
struct DrawState {
  Packed best;
  uint32_t num_done, unused;
};

__device__ float uniform_of(uint32_t bits) { return to_uniform(bits); }

// Written out, because a sum that is fused here and not there would make a draw depend on its
// slice.
__device__ float noisy_score(float logit, float inverse_temperature, uint32_t bits) {
  float gumbel = -logf(-log1pf(-uniform_of(bits)));
  return __fmaf_rn(logit, inverse_temperature, gumbel);
}

// Bounds of a score that cost one logarithm. With d = log(-log1p(-u) / u) the noise is -log(u) - d,
// and 0 <= d <= 0.67 u for u below a half, and d < 2.9 for all below 1, which to_uniform may round
// to.
struct ScoreBounds {
  float low, high;
};
__device__ ScoreBounds bounds_of(float logit, float inverse_temperature, uint32_t bits) {
  constexpr float kLog2 = 0.69314718f;
  float u = uniform_of(bits), log2_u;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(log2_u) : "f"(u));
  float high = fmaf(logit, inverse_temperature, -kLog2 * log2_u);
  return {high - (u < 0.5f ? 0.67f * u : u < 1.0f ? 2.9f : kInfinity), high};
}
// What `high` has to reach for the score to reach `low`; more than a -inf in any case, and where
// `low` is infinite, so that the difference is NaN, no more.
__device__ float slackened(float low) {
  return fmaxf(low - kLogError - kRounding * (fabsf(low) + 32.0f), -FLT_MAX);
}

__device__ uint32_t pick(const std::array<uint32_t, 4>& block, uint32_t i) {
  return i == 0 ? block[0] : i == 1 ? block[1] : i == 2 ? block[2] : block[3];
}

// token_bits, without an index into registers.
__device__ uint32_t bits_of(uint64_t seed, int32_t position, int32_t token) {
  auto id = static_cast<uint32_t>(token);
  return pick(philox({id / 4, static_cast<uint32_t>(position), 0, 0}, seed), id % 4);
}

// Random bits of four neighbouring tokens; they share a block of Philox when the first one's id is
// a multiple of 4.
__device__ void bits_of_four(uint64_t seed, int32_t position, int32_t first_token,
                             uint32_t (&bits)[4]) {
  auto id = static_cast<uint32_t>(first_token);
  uint32_t offset = id % 4;
  std::array<uint32_t, 4> block = philox({id / 4, static_cast<uint32_t>(position), 0, 0}, seed);
  if (offset == 0) {
    bits[0] = block[0], bits[1] = block[1], bits[2] = block[2], bits[3] = block[3];
    return;
  }
  std::array<uint32_t, 4> next = philox({id / 4 + 1, static_cast<uint32_t>(position), 0, 0}, seed);
#pragma unroll
  for (uint32_t e = 0; e < 4; ++e)
    bits[e] = offset + e < 4 ? pick(block, offset + e) : pick(next, offset + e - 4);
}

struct DrawRow {
  uint64_t seed;
  int32_t position;
  float inverse_temperature;
  uint32_t low;  // key a logit must reach, when kSelected
};

// Turns this thread's logits into upper bounds of their scores, -inf where none is accepted; the
// highest lower bound.
template <bool kSelected>
__device__ float bound_scores(float (&x)[kSliceValues], const DrawRow& row, int slice,
                              int32_t vocab_begin) {
  float low = -kInfinity;
#pragma unroll
  for (int g = 0; g < kSliceGroups; ++g) {
    uint32_t bits[4];
    bits_of_four(row.seed, row.position, vocab_begin + slice_index(slice, 4 * g), bits);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float& logit = x[4 * g + e];
      if (kSelected && key_of(logit) < row.low) logit = -kInfinity;
      ScoreBounds bounds = bounds_of(logit, row.inverse_temperature, bits[e]);
      low = fmaxf(low, bounds.low);
      logit = bounds.high;
    }
  }
  return low;
}

// The best of this thread's scores among those that may reach `low`: few threads have one.
__device__ Packed best_score(const float (&high)[kSliceValues], float low, const Logits& logits,
                             int r, const DrawRow& row, int slice, int32_t vocab_begin) {
  uint32_t mask = 0;
  float least = slackened(low);
#pragma unroll
  for (int v = 0; v < kSliceValues; ++v) mask |= static_cast<uint32_t>(high[v] >= least) << v;
  Packed best = 0;
  for (; mask != 0; mask &= mask - 1) {
    int i = slice_index(slice, __ffs(static_cast<int>(mask)) - 1);
    uint32_t bits = bits_of(row.seed, row.position, vocab_begin + i);
    float score = noisy_score(logits.row(r)[i], row.inverse_temperature, bits);
    best = max(best, pack_candidate(score, vocab_begin + i));
  }
  return best;
}

// The likeliest token of this thread; of equals the lowest. NaN is none.
__device__ Packed likeliest(const float (&x)[kSliceValues], int slice, int32_t vocab_begin) {
  float best = -kInfinity;
  int at = -1;
#pragma unroll
  for (int v = 0; v < kSliceValues; ++v)
    if (x[v] > best) best = x[v], at = v;
  return at < 0 ? 0 : pack_candidate(best, vocab_begin + slice_index(slice, at));
}

template <bool kSelected>
__global__ void __launch_bounds__(kSliceThreads)
    draw_slices(Logits logits, const SamplingRow* rows, const Selection* selections,
                int32_t vocab_begin, DrawState* states, Candidate* best) {
  __shared__ Packed shared[32];
  __shared__ float shared_low[32];
  let_next_start();
  wait_for_previous();
  int slice = blockIdx.x, r = blockIdx.y;
  bool is_first_thread = threadIdx.x == 0;
  const SamplingRow& row = rows[r];
  if (row.slot < 0) {
    if (is_first_thread && slice == 0) best[r] = {-kInfinity, vocab_begin};
    return;
  }
  bool is_greedy = row.temperature <= 0;
  DrawRow draw{row.seed, row.position, is_greedy ? 1.0f : 1.0f / row.temperature,
               kSelected && !is_greedy ? selections[r].low : 0};
  DrawState* state = states + r;
  float x[kSliceValues];
  load_slice(logits, r, slice, x);
  Packed top;
  if (is_greedy) {
    top = likeliest(x, slice, vocab_begin);
  } else {
    // A slice that was faster may have reached more.
    Packed reached = is_first_thread ? __ldcg(&state->best) : 0;
    float low = bound_scores<kSelected>(x, draw, slice, vocab_begin);
    if (reached != 0) low = fmaxf(low, score_of(reached));
    low = block_max(low, shared_low);
    top = best_score(x, low, logits, r, draw, slice, vocab_begin);
  }
  top = block_max(top, shared);
  if (!is_first_thread) return;
  atomicMax(&state->best, top);
  __threadfence();
  if (atomicAdd(&state->num_done, 1u) != gridDim.x - 1) return;
  state->num_done = 0;
  Packed winner = atomicExch(&state->best, Packed{0});
  best[r] = winner == 0 ? Candidate{-kInfinity, vocab_begin}
                        : Candidate{score_of(winner), token_of(winner)};
}

// The n largest of all threads' candidates, in order, to `out` (shared memory); each thread gives
// up what was taken.
template <int kCount>
__device__ void take_largest(Packed (&mine)[kCount], int n, Packed* out, Packed (&shared)[2][32]) {
  for (int k = 0; k < n; ++k) {
    Packed top = 0;
#pragma unroll
    for (int i = 0; i < kCount; ++i) top = max(top, mine[i]);
    top = block_max(top, shared[k % 2]);
#pragma unroll
    for (int i = 0; i < kCount; ++i)
      if (mine[i] == top) mine[i] = 0;
    if (threadIdx.x == 0) out[k] = top;
  }
  __syncthreads();
}

constexpr int kMaxTop = 64;

// parts [rows, slices, n]; out [rows, n]
__global__ void __launch_bounds__(kSliceThreads)
    top_slices(Logits logits, int n, int32_t vocab_begin, Packed* parts, uint32_t* tickets,
               Candidate* out) {
  __shared__ Packed shared[2][32], largest[kMaxTop];
  let_next_start();
  wait_for_previous();
  int slice = blockIdx.x, slices = gridDim.x, r = blockIdx.y;
  float x[kSliceValues];
  load_slice(logits, r, slice, x);
  Packed mine[kSliceValues];
#pragma unroll
  for (int v = 0; v < kSliceValues; ++v) {
    int i = slice_index(slice, v);
    mine[v] = i < logits.vocab ? pack_candidate(x[v], vocab_begin + i) : 0;
  }
  take_largest(mine, n, largest, shared);
  Packed* row_parts = parts + int64_t{r} * slices * n;
  for (int k = threadIdx.x; k < n; k += kSliceThreads)
    __stcg(row_parts + slice * n + k, largest[k]);
  if (!arrives_last(tickets + r, slices)) return;
  // The best so far go round once more with the next candidates.
  Packed kept = threadIdx.x < n ? largest[threadIdx.x] : 0;
  for (int begin = 0; begin < slices * n; begin += kSliceThreads) {
    int i = begin + threadIdx.x;
    Packed two[2] = {kept, i < slices * n && i / n != slice ? __ldcg(row_parts + i) : 0};
    take_largest(two, n, largest, shared);
    kept = threadIdx.x < n ? largest[threadIdx.x] : 0;
  }
  if (threadIdx.x < n)
    out[int64_t{r} * n + threadIdx.x] =
        kept == 0 ? Candidate{-kInfinity, std::numeric_limits<int32_t>::max()}
                  : Candidate{score_of(kept), token_of(kept)};
}

}  // namespace

void draw(Stream stream, TensorView logits, const SamplingRow* rows, const Selection* selections,
          int64_t vocab_begin, Candidate* best) {
  if (logits.empty()) return;
  launch(stream, slices_of(logits), selections ? draw_slices<true> : draw_slices<false>,
         logits_of(logits), rows, selections, static_cast<int32_t>(vocab_begin),
         row_counters<DrawState>(stream, logits.dim(0)), best);
}

void top_logits(Stream stream, TensorView logits, int n, int64_t vocab_begin, Candidate* out) {
  if (logits.empty() || n == 0) return;
  require(n <= kMaxTop, "top_logits: at most 64");
  int64_t rows = logits.dim(0);
  launch(stream, slices_of(logits), top_slices, logits_of(logits), n,
         static_cast<int32_t>(vocab_begin),
         slice_results<Packed>(stream, rows * num_slices(logits.dim(1)) * n),
         row_counters<uint32_t>(stream, rows), out);
}

}  // namespace ll::cuda
