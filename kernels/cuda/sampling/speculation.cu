// Drafts looked up in what was said, and how many of them stand.
#include "base/numbers.h"
#include "kernels/cuda/sampling/sampling_rows.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kScanBlocks = 32;  // that look for one sequence's match

__global__ void __launch_bounds__(kThreads)
    copy_histories(TokenHistory h, const HistoryStart* starts, const int32_t* tokens) {
  let_next_start();
  wait_for_previous();
  HistoryStart s = starts[blockIdx.x];
  int32_t* to = h.tokens + s.slot * h.stride;
  for (int i = threadIdx.x; i < s.num_tokens; i += kThreads) to[i] = tokens[s.first_token + i];
  if (threadIdx.x > 0) return;
  h.lengths[s.slot] = s.num_tokens;
  h.ends[s.slot] = s.end;
}

// Rows without drafts.
__global__ void __launch_bounds__(kThreads) place_rows(ProposeArgs a) {
  let_next_start();
  wait_for_previous();
  int row = blockIdx.x * kThreads + threadIdx.x;
  if (row < a.num_rows && a.positions[row] >= 0) write_row(a, row, 0, 0);
}

// The best match among places begin, begin + step, ... of a history, all before its last token.
__device__ void look(const ProposeArgs& a, const int32_t* own, int length, int slot, bool is_own,
                     int begin, int step, uint64_t& best) {
  const int32_t* tokens = a.history.tokens + slot * a.history.stride;
  int end = a.history.lengths[slot] - 1;
  int32_t last = own[length - 1];
#pragma unroll 8
  for (int j = begin; j < end; j += step) {
    if (tokens[j] != last) continue;
    int agree = match_length(tokens, j, own, length, a.max_match);
    if (agree >= a.min_match)
      best = max(best, match_key(agree, is_own, slot * a.history.stride + j));
  }
}

// The best match of a sequence, and how many blocks have looked. Zero between steps.
struct Search {
  unsigned long long best;
  uint32_t num_done, unused;
};

// Block (sequence, part of the search): all look through the sequence's own tokens, and a warp each
// through those of other slots. The last one writes the rows.
__global__ void __launch_bounds__(kThreads) find_drafts(ProposeArgs a, Search* searches) {
  __shared__ unsigned long long shared[32], found;
  let_next_start();
  wait_for_previous();
  int first = blockIdx.x * a.rows_each;
  if (a.positions[first] < 0) return;
  const TokenHistory& h = a.history;
  Search* search = searches + blockIdx.x;
  int slot = a.slots[first], length = h.lengths[slot];
  const int32_t* own = h.tokens + slot * h.stride;
  uint64_t mine = 0;
  look(a, own, length, slot, true, blockIdx.y * kThreads + threadIdx.x, gridDim.y * kThreads, mine);
  int warp = blockIdx.y * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int other = warp; other < h.num_slots; other += gridDim.y * kWarps)
    if (other != slot)
      look(a, own, length, other, false, max(h.lengths[other] - 1 - kOtherTokens, 0) + lane, 32,
           mine);
  unsigned long long best = block_max(static_cast<unsigned long long>(mine), shared);
  if (threadIdx.x == 0 && best != 0) atomicMax(&search->best, best);
  if (!arrives_last(&search->num_done, gridDim.y)) return;
  if (threadIdx.x == 0) found = atomicExch(&search->best, 0ull);
  __syncthreads();
  for (int i = threadIdx.x; i < a.rows_each; i += kThreads) write_row(a, first, i, found);
}

__global__ void __launch_bounds__(kThreads) accept_all(AcceptArgs a) {
  let_next_start();
  wait_for_previous();
  int sequences = a.num_decode / a.rows_each, grouped = sequences * a.rows_each,
      total = sequences + a.num_rows - grouped;
  for (int i = threadIdx.x; i < total; i += kThreads)
    i < sequences ? accept_rows(a, i * a.rows_each, a.rows_each)
                  : accept_rows(a, grouped + i - sequences, 1);
}

}  // namespace

void start_histories(Stream stream, const TokenHistory& history, const HistoryStart* starts,
                     int32_t count, const int32_t* tokens) {
  if (count > 0)
    launch(stream, {dim3(static_cast<unsigned>(count)), dim3(kThreads)}, copy_histories, history,
           starts, tokens);
}

void propose_drafts(Stream stream, const ProposeArgs& a) {
  auto sequences = static_cast<unsigned>(a.num_rows / a.rows_each);
  if (sequences == 0) return;
  if (a.rows_each == 1)
    launch(stream, {dim3(ceil_div(sequences, unsigned{kThreads})), dim3(kThreads)}, place_rows, a);
  else
    launch(stream, {dim3(sequences, kScanBlocks), dim3(kThreads)}, find_drafts, a,
           row_counters<Search>(stream, sequences));
}

void accept_drafts(Stream stream, const AcceptArgs& a) {
  if (a.num_rows > 0) launch(stream, {dim3(1), dim3(kThreads)}, accept_all, a);
}

}  // namespace ll::cuda
