// What happens to logits before a draw and to tokens after it, and log-probabilities.
#include "kernels/cuda/sampling/sampling_rows.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;

LaunchShape one_thread_each(int64_t count) {
  return {dim3(static_cast<unsigned>(ceil_div(count, kThreads))), dim3(kThreads)};
}

__device__ int64_t thread_index() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

// The first edit of an entry applies the later ones too, in their order.
__global__ void __launch_bounds__(kThreads)
    apply_edits(Logits logits, const SamplingRow* rows, const int32_t* last_tokens,
                const LogitEdit* edits, int count, int64_t vocab_begin) {
  let_next_start();
  wait_for_previous();
  auto i = static_cast<int>(thread_index());
  if (i >= count) return;
  int row = edits[i].row, token = edits[i].token;
  int64_t local = token - vocab_begin;
  if (local < 0 || local >= logits.vocab) return;
  auto is_same = [&](int j) { return edits[j].token == token; };
  for (int j = i - 1; j >= 0 && edits[j].row == row; --j)
    if (is_same(j)) return;
  float x = logits.row(row)[local];
  for (int j = i; j < count && edits[j].row == row; ++j) {
    int after = edits[j].after;
    if (is_same(j) && (after < 0 || last_tokens[rows[row].slot] == after)) x += edits[j].bias;
  }
  logits.row(row)[local] = x;
}

// A logit of a token that has a count.
__device__ float penalized(float x, int count, const SamplingRow& row) {
  if (count & kForbidden) return -kInfinity;
  int times = times_in_output(count);
  x = x > 0 ? x / row.repetition_penalty : x * row.repetition_penalty;
  if (times > 0)
    x = __fsub_rn(x, __fadd_rn(row.presence_penalty,
                               __fmul_rn(row.frequency_penalty, static_cast<float>(times))));
  return x;
}

// Four counts from `i` on; none past the row's end.
__device__ int4 counts_at(const Logits& logits, const int32_t* counts, int i) {
  if (logits.is_aligned && i < logits.vocab) return *reinterpret_cast<const int4*>(counts + i);
  auto at = [&](int j) { return j < logits.vocab ? counts[j] : 0; };
  return make_int4(at(i), at(i + 1), at(i + 2), at(i + 3));
}

// The slice's logits that are at hand, in x, and in memory.
__device__ void penalize_slice(const Logits& logits, const SamplingRow& row, const int32_t* counts,
                               float (&x)[kSliceValues]) {
  float* logit = logits.row(blockIdx.y);
#pragma unroll
  for (int g = 0; g < kSliceGroups; ++g) {
    int first = slice_index(blockIdx.x, 4 * g);
    int4 four = counts_at(logits, counts, first);
    int count[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (count[e] == 0) continue;
      logit[first + e] = x[4 * g + e] = penalized(x[4 * g + e], count[e], row);
    }
  }
}

__global__ void __launch_bounds__(kSliceThreads)
    penalize_slices(Logits logits, const SamplingRow* rows, const int32_t* token_counts,
                    uint32_t* granule_keys) {
  let_next_start();
  wait_for_previous();
  const SamplingRow& row = rows[blockIdx.y];
  bool penalizes = token_counts && row.has_penalties(), notes = granule_keys && row.has_shortlist();
  if (row.slot < 0 || (!penalizes && !notes)) return;
  const int32_t* counts = token_counts + int64_t{row.slot} * logits.vocab;
  float x[kSliceValues];
  load_slice(logits, blockIdx.y, blockIdx.x, x);
  if (penalizes) penalize_slice(logits, row, counts, x);
  if (notes) note_granules(logits, blockIdx.y, blockIdx.x, x, granule_keys);
}

__global__ void __launch_bounds__(kThreads)
    fill_counts(int32_t* counts, int64_t vocab, int32_t value) {
  let_next_start();
  wait_for_previous();
  if (thread_index() < vocab) counts[thread_index()] = value;
}

__global__ void __launch_bounds__(kThreads)
    count_tokens(int32_t* counts, int64_t vocab, CountedTokens counted, int64_t vocab_begin) {
  let_next_start();
  wait_for_previous();
  auto i = static_cast<int>(thread_index());
  if (i >= counted.length()) return;
  int64_t local = counted.tokens[i] - vocab_begin;
  if (local < 0 || local >= vocab) return;
  if (i < counted.num_allowed)
    atomicAnd(counts + local, ~kForbidden);
  else if (i < counted.num_allowed + counted.num_prompt)
    atomicOr(counts + local, kInPrompt);
  else
    atomicAdd(counts + local, 1);
}

__global__ void __launch_bounds__(kThreads) choose_best(ChooseArgs a) {
  let_next_start();
  wait_for_previous();
  auto r = static_cast<int>(thread_index());
  if (r >= a.num_rows) return;
  int32_t* host_tokens = a.host_tokens ? *a.host_tokens : nullptr;
  Candidate best = a.gathered[r];
  for (int rank = 1; rank < a.num_ranks; ++rank) {
    Candidate c = a.gathered[int64_t{rank} * a.num_rows + r];
    if (c.score > best.score || (c.score == best.score && c.token < best.token)) best = c;
  }
  int32_t token = best.score == -kInfinity ? kUndrawnToken : best.token;
  a.tokens[r] = token;
  if (host_tokens) host_tokens[r] = token;
  int slot = a.rows[r].slot;
  if (slot < 0) return;
  a.last_tokens[slot] = best.token;
  int64_t local = best.token - a.vocab_begin;
  if (a.rows[r].has_penalties() && local >= 0 && local < a.vocab)
    ++a.token_counts[slot * a.vocab + local];
}

__global__ void __launch_bounds__(kThreads)
    pick_targets(Logits logits, const int32_t* targets, int num_rows, int64_t vocab_begin,
                 float* out) {
  let_next_start();
  wait_for_previous();
  auto r = static_cast<int>(thread_index());
  if (r >= num_rows) return;
  int64_t local = targets[r] - vocab_begin;
  out[r] = local >= 0 && local < logits.vocab ? logits.row(r)[local] : -kInfinity;
}

__device__ float max_of(const float (&x)[kSliceValues]) {
  float max = x[0];
#pragma unroll
  for (int v = 1; v < kSliceValues; ++v) max = fmaxf(max, x[v]);
  return max;
}

// maxima [rows, slices]
__global__ void __launch_bounds__(kSliceThreads)
    max_slices(Logits logits, float* maxima, uint32_t* tickets, float* row_max) {
  __shared__ float shared[2][32];
  let_next_start();
  wait_for_previous();
  float x[kSliceValues];
  int slices = gridDim.x, row = blockIdx.y;
  load_slice(logits, row, blockIdx.x, x);
  float max = block_max(max_of(x), shared[0]);
  float* mine = maxima + int64_t{row} * slices;
  if (threadIdx.x == 0) __stcg(mine + blockIdx.x, max);
  if (!arrives_last(tickets + row, slices)) return;
  max = -kInfinity;
  for (int s = threadIdx.x; s < slices; s += kSliceThreads) max = fmaxf(max, __ldcg(mine + s));
  max = block_max(max, shared[1]);
  if (threadIdx.x == 0) row_max[row] = max;
}

// sum * exp(max - shift), where nothing at all sums to nothing
__device__ float shifted(float2 max_and_sum, float shift) {
  return max_and_sum.y > 0 ? max_and_sum.y * expf(max_and_sum.x - shift) : 0.0f;
}

// parts [rows, slices], out [rows]: maximum and sum of exp(logit - maximum)
__global__ void __launch_bounds__(kSliceThreads)
    log_sum_exp_slices(Logits logits, float2* parts, uint32_t* tickets, float2* out,
                       uint32_t* granule_keys) {
  __shared__ float shared[4][32];
  let_next_start();
  wait_for_previous();
  float x[kSliceValues];
  int slices = gridDim.x, row = blockIdx.y;
  load_slice(logits, row, blockIdx.x, x);
  if (granule_keys) note_granules(logits, row, blockIdx.x, x, granule_keys);
  float max = block_max(max_of(x), shared[0]), sum = 0;
  if (max > -kInfinity) {
#pragma unroll
    for (int v = 0; v < kSliceValues; ++v) sum += expf(x[v] - max);
  }
  sum = block_sum(sum, shared[1]);
  float2* mine = parts + int64_t{row} * slices;
  if (threadIdx.x == 0) __stcg(mine + blockIdx.x, make_float2(max, sum));
  if (!arrives_last(tickets + row, slices)) return;
  max = -kInfinity, sum = 0;
  for (int s = threadIdx.x; s < slices; s += kSliceThreads) max = fmaxf(max, __ldcg(mine + s).x);
  max = block_max(max, shared[2]);
  for (int s = threadIdx.x; s < slices; s += kSliceThreads) sum += shifted(__ldcg(mine + s), max);
  sum = block_sum(sum, shared[3]);
  if (threadIdx.x == 0) out[row] = make_float2(max, sum);
}

}  // namespace

void edit_logits(Stream stream, TensorView logits, const SamplingRow* rows,
                 const int32_t* last_tokens, const LogitEdit* edits, int32_t count,
                 int64_t vocab_begin) {
  if (count == 0 || logits.empty()) return;
  launch(stream, one_thread_each(count), apply_edits, logits_of(logits), rows, last_tokens, edits,
         count, vocab_begin);
}

void apply_penalties(Stream stream, TensorView logits, const SamplingRow* rows,
                     const int32_t* token_counts, uint32_t* granule_keys) {
  if (logits.empty()) return;
  require(is_aligned(token_counts, sizeof(int4)), "apply_penalties: counts are not aligned");
  launch(stream, slices_of(logits), penalize_slices, logits_of(logits), rows, token_counts,
         granule_keys);
}

void reset_counts(Stream stream, int32_t* counts, int64_t vocab, const CountedTokens& counted,
                  int64_t vocab_begin) {
  if (vocab == 0) return;
  launch(stream, one_thread_each(vocab), fill_counts, counts, vocab,
         counted.num_allowed > 0 ? kForbidden : 0);
  if (counted.length() > 0)
    launch(stream, one_thread_each(counted.length()), count_tokens, counts, vocab, counted,
           vocab_begin);
}

void row_max(Stream stream, TensorView logits, float* out) {
  if (logits.empty()) return;
  int64_t rows = logits.dim(0);
  launch(stream, slices_of(logits), max_slices, logits_of(logits),
         slice_results<float>(stream, rows * num_slices(logits.dim(1))),
         row_counters<uint32_t>(stream, rows), out);
}

void choose(Stream stream, const ChooseArgs& a) {
  if (a.num_rows > 0) launch(stream, one_thread_each(a.num_rows), choose_best, a);
}

void log_sum_exp(Stream stream, TensorView logits, float* max_and_sum, uint32_t* granule_keys) {
  if (logits.empty()) return;
  int64_t rows = logits.dim(0);
  launch(stream, slices_of(logits), log_sum_exp_slices, logits_of(logits),
         slice_results<float2>(stream, rows * num_slices(logits.dim(1))),
         row_counters<uint32_t>(stream, rows), reinterpret_cast<float2*>(max_and_sum),
         granule_keys);
}

void target_logits(Stream stream, TensorView logits, const int32_t* targets, int64_t vocab_begin,
                   float* out) {
  if (logits.empty()) return;
  launch(stream, one_thread_each(logits.dim(0)), pick_targets, logits_of(logits), targets,
         static_cast<int>(logits.dim(0)), vocab_begin, out);
}

}  // namespace ll::cuda
