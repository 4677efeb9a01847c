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

// match_length where the last tokens agree, its loads some at a time.
__device__ int agreeing(const int32_t* at, int j, const int32_t* own, int length, int most) {
  constexpr int kBatch = 8;
  int limit = min(most, min(j + 1, length)), count = 1;
  while (count < limit) {
    bool agrees[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      int back = count + i;
      agrees[i] = back < limit && at[j - back] == own[length - 1 - back];
    }
    int run = 0;
#pragma unroll
    for (int i = 0; i < kBatch; ++i)
      if (run == i && agrees[i]) ++run;
    count += run;
    if (run < kBatch) break;
  }
  return count;
}

// The sequence that looks for drafts.
struct Seeker {
  int slot, length;
  const int32_t* tokens;
};

// The best match among places begin, begin + step, ... before `end` of a slot's history.
__device__ void look(const ProposeArgs& a, const Seeker& own, int slot, int begin, int end,
                     int step, uint64_t& best) {
  const int32_t* tokens = a.history.tokens + slot * a.history.stride;
  int32_t last = own.tokens[own.length - 1];
#pragma unroll 8
  for (int j = begin; j < end; j += step) {
    if (tokens[j] != last) continue;
    int count = agreeing(tokens, j, own.tokens, own.length, a.max_match);
    if (count >= a.min_match) best = max(best, match_key(count, slot == own.slot, slot, j));
  }
}

// In the last tokens of other slots, those of one a warp at a time. Most slots are empty where few
// sequences run: a warp asks for the lengths of 32 at once.
__device__ void look_at_others(const ProposeArgs& a, const Seeker& own, uint64_t& best) {
  const TokenHistory& h = a.history;
  int warp = blockIdx.y * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  int num_warps = gridDim.y * kWarps;
  for (int base = warp; base < h.num_slots; base += 32 * num_warps) {
    int mine = base + lane * num_warps, length = 0;
    if (mine < h.num_slots && mine != own.slot) length = h.lengths[mine];
    for (uint32_t left = __ballot_sync(kFullWarp, length > 1); left != 0; left &= left - 1) {
      int whose = __ffs(left) - 1, end = __shfl_sync(kFullWarp, length, whose) - 1;
      look(a, own, base + whose * num_warps, max(end - kOtherTokens, 0) + lane, end, 32, best);
    }
  }
}

// The best match of a sequence, and how many blocks have looked. Zero between steps.
struct Search {
  unsigned long long best;
  uint32_t num_done, unused;

  // A thread's of each block, with what the block found; true for the last, with what all did.
  __device__ bool finish(unsigned long long mine, uint32_t num_blocks, unsigned long long& found) {
    if (mine != 0) atomicMax(&best, mine);
    __threadfence();
    if (atomicAdd(&num_done, 1u) < num_blocks - 1) return false;
    __threadfence();
    found = atomicExch(&best, 0ull);
    num_done = 0;
    return true;
  }
};

// Block (sequence, part of the search): all look through the sequence's own tokens, and a warp each
// through those of other slots. The last one writes the rows.
__global__ void __launch_bounds__(kThreads) find_drafts(ProposeArgs a, Search* searches) {
  __shared__ unsigned long long shared[32], found;
  __shared__ bool is_last;
  let_next_start();
  wait_for_previous();
  int first = blockIdx.x * a.rows_each, slot = a.slots[first];
  if (a.positions[first] < 0) return;
  const TokenHistory& h = a.history;
  Search* search = searches + blockIdx.x;
  Seeker own{slot, h.lengths[slot], h.tokens + slot * h.stride};
  uint64_t mine = 0;
  int place = blockIdx.y * kThreads + threadIdx.x;
  look(a, own, slot, place, own.length - 1, gridDim.y * kThreads, mine);
  look_at_others(a, own, mine);
  unsigned long long best = block_max(static_cast<unsigned long long>(mine), shared);
  if (threadIdx.x == 0) is_last = search->finish(best, gridDim.y, found);
  __syncthreads();
  if (!is_last) return;
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
