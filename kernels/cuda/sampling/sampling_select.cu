// The radix select of top_k, top_p and min_p.
#include "kernels/cuda/sampling/sampling_cut.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSlicesAtOnce = 4;  // a block of the histogram takes more logits than it has bins
constexpr int kBinsAThread = kSelectBins / kThreads;

__device__ bool takes_part(const SamplingRow& row, SelectBy by) {
  if (row.slot < 0 || row.temperature <= 0 || row.has_shortlist()) return false;
  return by == SelectBy::kTopK ? row.top_k > 0 : row.top_p < 1;
}

__global__ void __launch_bounds__(kThreads)
    begin_rows(const SamplingRow* rows, const float* row_max, Selection* selections, int num_rows) {
  let_next_start();
  wait_for_previous();
  int r = blockIdx.x * kThreads + threadIdx.x;
  if (r >= num_rows) return;
  Selection s;
  s.max = row_max[r];
  s.low = least_by_min_p(rows[r], s.max);
  selections[r] = s;
}

__global__ void __launch_bounds__(kThreads) clear_bins(int64_t* histogram, int64_t count) {
  let_next_start();
  wait_for_previous();
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) histogram[i] = 0;
}

// Sixty-four-bit counters as two words each: shared memory adds 32 bits at once, and each carry is
// seen by exactly one thread.
struct Bins {
  uint32_t low[kSelectBins], high[kSelectBins];

  __device__ void add(uint32_t bin, uint64_t amount) {
    auto part = static_cast<uint32_t>(amount), carry = static_cast<uint32_t>(amount >> 32);
    if (part > 0 && atomicAdd(low + bin, part) > ~part) ++carry;
    if (carry > 0) atomicAdd(high + bin, carry);
  }
  __device__ uint64_t total(int bin) const { return uint64_t{high[bin]} << 32 | low[bin]; }
};

__global__ void __launch_bounds__(kThreads)
    count_slices(Logits logits, const SamplingRow* rows, const Selection* selections, SelectBy by,
                 int round, unsigned long long* histogram) {
  __shared__ Bins bins;
  let_next_start();
  wait_for_previous();
  const SamplingRow& row = rows[blockIdx.y];
  if (!takes_part(row, by)) return;
  for (int i = threadIdx.x; i < kSelectBins; i += kThreads) bins.low[i] = bins.high[i] = 0;
  __syncthreads();
  Selection s = selections[blockIdx.y];
  float inverse = 1.0f / row.temperature;
  int shift = select_shift(round), above = shift + select_width(round);
  uint32_t mask = (1u << select_width(round)) - 1;
  for (int n = 0; n < kSlicesAtOnce; ++n) {
    int slice = blockIdx.x * kSlicesAtOnce + n;
    float x[kSliceValues];
    load_slice(logits, blockIdx.y, slice, x);
#pragma unroll
    for (int v = 0; v < kSliceValues; ++v) {
      uint32_t key = key_of(x[v]), bin = (key >> shift) & mask;
      bool shares_prefix = round == 0 || (key >> above) == (s.prefix >> above);
      if (slice_index(slice, v) >= logits.vocab || key < s.low || !shares_prefix) continue;
      if (by == SelectBy::kTopK)
        atomicAdd(bins.low + bin, 1u);
      else
        bins.add(bin, mass_of(x[v], s.max, inverse));
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kSelectBins; i += kThreads)
    if (uint64_t total = bins.total(i))
      atomicAdd(histogram + int64_t{blockIdx.y} * kSelectBins + i, total);
}

// The sum of `mine` over the threads before this one; `total` becomes the sum over all.
__device__ int64_t sum_before(int64_t mine, int64_t* shared, int64_t& total) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int64_t sum = mine;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    int64_t other = __shfl_up_sync(kFullWarp, sum, distance);
    if (lane >= distance) sum += other;
  }
  if (lane == 31) shared[warp] = sum;
  __syncthreads();
  int64_t before = sum - mine;
  total = 0;
  for (int w = 0; w < kThreads / 32; ++w) {
    if (w < warp) before += shared[w];
    total += shared[w];
  }
  return before;
}

__device__ int64_t wanted_of(const SamplingRow& row, SelectBy by, int64_t total) {
  if (by == SelectBy::kTopP) return wanted_mass(row.top_p, total);
  return max(int64_t{1}, min(int64_t{row.top_k}, total));
}

// Walks the bins downwards to the one in which `remaining` is reached. Thread t has the bins top -
// 8 t, top - 8 t - 1, ...
__global__ void __launch_bounds__(kThreads)
    narrow_rows(const SamplingRow* rows, const int64_t* histogram, SelectBy by, int round,
                Selection* selections) {
  __shared__ int64_t shared[kThreads / 32];
  let_next_start();
  wait_for_previous();
  const SamplingRow& row = rows[blockIdx.x];
  if (!takes_part(row, by)) return;
  const int64_t* bins = histogram + int64_t{blockIdx.x} * kSelectBins;
  int top = (1 << select_width(round)) - 1,
      first = top - static_cast<int>(threadIdx.x) * kBinsAThread;
  int64_t mine[kBinsAThread], sum = 0, total;
#pragma unroll
  for (int i = 0; i < kBinsAThread; ++i) sum += mine[i] = first - i >= 0 ? bins[first - i] : 0;
  Selection s = selections[blockIdx.x];
  int64_t before = sum_before(
      sum, shared, total);  // its barrier also ends every thread's reading of the selection
  if (round == 0) s.prefix = 0, s.remaining = wanted_of(row, by, total);
  bool is_mine = before < s.remaining && s.remaining <= before + sum;
  bool falls_short =
      threadIdx.x == 0 && total < s.remaining;  // the lowest bin takes what is missing
  if (!is_mine && !falls_short) return;
  int bin = 0;
  if (falls_short) {
    s.remaining -= total - bins[0];
  } else {
    s.remaining -= before;
    bool found = false;
#pragma unroll
    for (int i = 0; i < kBinsAThread; ++i) {
      if (found) continue;
      found = mine[i] >= s.remaining;
      if (found)
        bin = first - i;
      else
        s.remaining -= mine[i];
    }
  }
  s.prefix |= static_cast<uint32_t>(bin) << select_shift(round);
  if (round == kSelectRounds - 1) s.low = max(s.low, s.prefix);
  selections[blockIdx.x] = s;
}

unsigned blocks_of(int64_t count) { return static_cast<unsigned>(ceil_div(count, kThreads)); }

}  // namespace

void begin_selection(Stream stream, const SamplingRow* rows, const float* row_max,
                     Selection* selections, int32_t num_rows) {
  if (num_rows == 0) return;
  launch(stream, {dim3(blocks_of(num_rows)), dim3(kThreads)}, begin_rows, rows, row_max, selections,
         num_rows);
}

void histogram(Stream stream, TensorView logits, const SamplingRow* rows,
               const Selection* selections, SelectBy by, int round, int64_t* out) {
  if (logits.dim(0) == 0) return;
  int64_t count = logits.dim(0) * kSelectBins;
  launch(stream, {dim3(blocks_of(count)), dim3(kThreads)}, clear_bins, out, count);
  if (logits.empty()) return;
  LaunchShape shape = slices_of(logits);
  shape.grid.x = ceil_div(shape.grid.x, kSlicesAtOnce);
  launch(stream, shape, count_slices, logits_of(logits), rows, selections, by, round,
         reinterpret_cast<unsigned long long*>(out));
}

void narrow(Stream stream, const SamplingRow* rows, const int64_t* histogram, SelectBy by,
            int round, Selection* selections, int32_t num_rows) {
  if (num_rows == 0) return;
  launch(stream, {dim3(static_cast<unsigned>(num_rows)), dim3(kThreads)}, narrow_rows, rows,
         histogram, by, round, selections);
}

}  // namespace ll::cuda
