// The draw from all logits of a row: candidates as single numbers, so that the best of them is a
// maximum.
#include "kernels/cuda/sampling/sampling_noise.cuh"

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
  if (row.has_shortlist()) return;
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

}  // namespace

void draw(Stream stream, TensorView logits, const SamplingRow* rows, const Selection* selections,
          int64_t vocab_begin, Candidate* best) {
  if (logits.empty()) return;
  launch(stream, slices_of(logits), selections ? draw_slices<true> : draw_slices<false>,
         logits_of(logits), rows, selections, static_cast<int32_t>(vocab_begin),
         row_counters<DrawState>(stream, logits.dim(0)), best);
}

}  // namespace ll::cuda
