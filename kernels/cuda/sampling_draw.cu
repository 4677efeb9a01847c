// The draw, and the largest logits of a row: candidates as single numbers, so that the best of them
// is a maximum.
#include "kernels/cuda/sampling_rows.cuh"
#include "kernels/random.h"

namespace ll::cuda {
namespace {

// -log(-log1p(-u)) for the smallest u that to_uniform makes, rounded up.
constexpr float kMaxGumbel = 22.9f;
constexpr float kLog2 = 0.69314718f;
constexpr float kLogError = 0.01f;  // more than __log2f is off
constexpr float kRounding = 1e-6f;  // relative: more than the roundings of a score

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

// The noise a logit needs to reach `bound`, rounded down; infinite for no logit.
__device__ float needed_noise(float logit, float inverse_temperature, float bound) {
  float scaled = logit * inverse_temperature;
  return bound - scaled - kRounding * fabsf(scaled);
}

// Whether the bits may make as much noise: -log1p(-u) >= u, so the noise is at most -log(u).
__device__ bool may_reach(float noise, uint32_t bits) {
  float log2_u;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(log2_u) : "f"(uniform_of(bits)));
  return kLogError - kLog2 * log2_u >= noise;
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
  std::array<uint32_t, 4> block = philox({id / 4, static_cast<uint32_t>(position), 0, 0}, seed),
                          next = block;
  if (offset != 0) next = philox({id / 4 + 1, static_cast<uint32_t>(position), 0, 0}, seed);
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

// The best of this thread's logits with their noise; those that cannot reach `bound` are left out.
template <bool kSelected>
__device__ Packed best_with_noise(const float (&x)[kSliceValues], const DrawRow& row, int slice,
                                  int32_t vocab_begin, float bound) {
  Packed best = 0;
#pragma unroll
  for (int g = 0; g < kSliceGroups; ++g) {
    float noise[4];
    bool any = false;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float logit = x[4 * g + e];
      noise[e] = needed_noise(logit, row.inverse_temperature, bound);
      if (kSelected && key_of(logit) < row.low) noise[e] = kInfinity;
      any |= noise[e] <= kMaxGumbel;
    }
    if (!any) continue;
    uint32_t bits[4];
    int32_t first = vocab_begin + slice_index(slice, 4 * g);
    bits_of_four(row.seed, row.position, first, bits);
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (may_reach(noise[e], bits[e]))
        best = max(best, pack_candidate(noisy_score(x[4 * g + e], row.inverse_temperature, bits[e]),
                                        first + e));
  }
  return best;
}

// The likeliest accepted token of this thread, without noise; of equals the lowest. NaN is none.
template <bool kSelected>
__device__ Packed best_without_noise(const float (&x)[kSliceValues], uint32_t low, int slice,
                                     int32_t vocab_begin) {
  float best = -kInfinity;
  int at = -1;
#pragma unroll
  for (int v = 0; v < kSliceValues; ++v)
    if (x[v] > best && !(kSelected && key_of(x[v]) < low)) best = x[v], at = v;
  return at < 0 ? 0 : pack_candidate(best, vocab_begin + slice_index(slice, at));
}

template <bool kSelected>
__global__ void __launch_bounds__(kSliceThreads)
    draw_slices(Logits logits, const SamplingRow* rows, const Selection* selections,
                int32_t vocab_begin, DrawState* states, Candidate* best) {
  __shared__ Packed shared[2][32];
  __shared__ float shared_bound;
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
  float x[kSliceValues];
  load_slice(logits, r, slice, x);
  DrawState* state = states + r;
  Packed top = block_max(best_without_noise<kSelected>(x, draw.low, slice, vocab_begin), shared[0]);
  if (!is_greedy) {
    // The likeliest token's score, of this slice or of one that was faster, rules out nearly all
    // others.
    if (is_first_thread) {
      if (top != 0) {
        uint32_t bits = bits_of(draw.seed, draw.position, token_of(top));
        top = pack_candidate(noisy_score(score_of(top), draw.inverse_temperature, bits),
                             token_of(top));
      }
      Packed reached = max(top, atomicMax(&state->best, top));
      shared_bound = reached == 0 ? -kInfinity : score_of(reached);
    }
    __syncthreads();
    top =
        block_max(best_with_noise<kSelected>(x, draw, slice, vocab_begin, shared_bound), shared[1]);
  }
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
         row_counters<DrawState>(logits.dim(0)), best);
}

void top_logits(Stream stream, TensorView logits, int n, int64_t vocab_begin, Candidate* out) {
  if (logits.empty() || n == 0) return;
  require(n <= kMaxTop, "top_logits: at most 64");
  int64_t rows = logits.dim(0);
  launch(stream, slices_of(logits), top_slices, logits_of(logits), n,
         static_cast<int32_t>(vocab_begin),
         slice_results<Packed>(rows * num_slices(logits.dim(1)) * n), row_counters<uint32_t>(rows),
         out);
}

}  // namespace ll::cuda
