// The few largest logits of a row, found through its granules' keys, and draws among them. A block
// a row: what it reads are the keys and the granules that hold the largest, a hundredth of the row.
#include "kernels/cuda/sampling/sampling_cut.cuh"
#include "kernels/cuda/sampling/sampling_noise.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kRoom = 1024;  // candidates that a block collects and puts in order

struct Row {
  const float* logits;
  const uint32_t* granule_keys;
  int vocab, num_granules, first_token;
};

struct Collected {
  Packed candidates[kRoom];
  int count;  // of those there are; those past kRoom are not kept
};

// The largest key that count_from(key), summed over the threads of the block, finds `k` to reach;
// at least kLeastKey. Counting 32 times is faster than histograms of keys that are much alike.
template <class CountFrom>
__device__ uint32_t kth_key(int k, const CountFrom& count_from) {
  __shared__ int counts[2][kWarps];
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  uint32_t key = 0;
  for (int bit = 31; bit >= 0; --bit) {
    uint32_t tried = key | 1u << bit;
    int count =
        static_cast<int>(__reduce_add_sync(kFullWarp, static_cast<unsigned>(count_from(tried))));
    int* shared = counts[bit % 2];
    if (lane == 0) shared[warp] = count;
    __syncthreads();
    count = 0;
    for (int w = 0; w < kWarps; ++w) count += shared[w];
    if (count >= k) key = tried;
  }
  __syncthreads();
  return max(key, kLeastKey);
}

// visit(logit, index) for those of the row whose keys may reach `least`, by whole warps.
template <class Visit>
__device__ void for_granules(const Row& row, uint32_t least, const Visit& visit) {
  int lane = threadIdx.x % 32;
  for (int first = threadIdx.x - lane; first < row.num_granules; first += kThreads) {
    int mine = first + lane;
    bool has = mine < row.num_granules && row.granule_keys[mine] >= least;
    for (uint32_t set = __ballot_sync(kFullWarp, has); set != 0; set &= set - 1) {
      int begin = (first + __ffs(static_cast<int>(set)) - 1) * kGranule;
      for (int i = begin + lane; i < min(begin + kGranule, row.vocab); i += 32)
        visit(row.logits[i], i);
    }
  }
}

// The candidates whose keys reach `least`, in any order.
__device__ void collect(const Row& row, uint32_t least, Collected& collected) {
  __syncthreads();
  if (threadIdx.x == 0) collected.count = 0;
  __syncthreads();
  for_granules(row, least, [&](float x, int i) {
    if (candidate_key(x) < least) return;
    int at = atomicAdd(&collected.count, 1);
    if (at < kRoom) collected.candidates[at] = pack_candidate(x, row.first_token + i);
  });
  __syncthreads();
}

// Adds those that equal `key`, the lower tokens first, until there are k; others behind them may
// come along.
__device__ void collect_equal(const Row& row, uint32_t key, int k, Collected& collected) {
  for (int begin = 0; begin < row.vocab; begin += kThreads) {
    if (collected.count >= k) break;
    __syncthreads();
    int i = begin + static_cast<int>(threadIdx.x);
    if (i < row.vocab && candidate_key(row.logits[i]) == key)
      collected.candidates[atomicAdd(&collected.count, 1)] =
          pack_candidate(row.logits[i], row.first_token + i);
    __syncthreads();
  }
  __syncthreads();
}

// A value that more logits have than are collected.
struct Alike {
  uint32_t key = 0;
  int count = 0;  // 0: there is none
};

// The k largest are among what is collected then; the least of them may be alike to many.
__device__ Alike collect_largest(const Row& row, int k, Collected& collected) {
  // A bound: the k largest keys of granules are k logits.
  uint32_t least = kth_key(k, [&](uint32_t key) {
    int count = 0;
    for (int g = threadIdx.x; g < row.num_granules; g += kThreads)
      count += row.granule_keys[g] >= key;
    return count;
  });
  collect(row, least, collected);
  if (collected.count <= kRoom) return {};
  auto count_from = [&](uint32_t key) {
    int count = 0;
    for_granules(row, key, [&](float x, int) { count += candidate_key(x) >= key; });
    return count;
  };
  uint32_t last = kth_key(k, count_from);
  collect(row, last, collected);
  if (collected.count <= kRoom) return {};
  int num_from = collected.count;
  collect(row, last + 1, collected);
  Alike alike{last, num_from - collected.count};
  collect_equal(row, last, k, collected);
  return alike;
}

// Where a collected candidate stands in their order, how many are larger, and how many its equals.
struct Place {
  int index, num_larger, num_equal;
};

template <class Take>
__device__ void in_order(const Collected& collected, const Take& take) {
  int count = collected.count;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    Packed mine = collected.candidates[i];
    Place place{};
    for (int j = 0; j < count; ++j) {
      Packed other = collected.candidates[j];
      place.index += other > mine;
      place.num_larger += other >> 32 > mine >> 32;
      place.num_equal += other >> 32 == mine >> 32;
    }
    take(place, mine);
  }
}

__device__ Row row_of(const Logits& logits, const uint32_t* granule_keys, int r, int first_token) {
  auto granules = static_cast<int>(num_granules(logits.vocab));
  return {logits.row(r), granule_keys + int64_t{r} * granules, logits.vocab, granules, first_token};
}

__global__ void __launch_bounds__(kThreads)
    list_rows(Logits logits, const SamplingRow* rows, const uint32_t* granule_keys,
              int32_t vocab_begin, Shortlist* lists, ShortlistEntries* entries) {
  __shared__ Collected collected;
  __shared__ int num_entries;
  let_next_start();
  wait_for_previous();
  auto r = static_cast<int>(blockIdx.x);
  if (rows[r].slot < 0 || !rows[r].has_shortlist()) return;
  int k = rows[r].top_k;
  if (threadIdx.x == 0) num_entries = 0;
  Alike alike = collect_largest(row_of(logits, granule_keys, r, vocab_begin), k, collected);
  Shortlist& list = lists[r];
  ShortlistEntries& own = entries[r];
  in_order(collected, [&](const Place& place, Packed p) {
    bool is_alike = alike.count > 0 && static_cast<uint32_t>(p >> 32) == alike.key;
    if (place.index < k) {
      list.values[place.index] = score_of(p);
      list.counts[place.index] = place.index != place.num_larger ? 0
                                 : is_alike                      ? alike.count
                                                                 : place.num_equal;
    }
    if (place.num_larger >= k) return;
    atomicAdd(&num_entries, 1);
    if (place.index < kShortlistRoom) own.entries[place.index] = {score_of(p), token_of(p)};
  });
  __syncthreads();
  if (threadIdx.x != 0) return;
  list.num_values = min(k, collected.count);
  own.count = alike.count > 0 || num_entries > kShortlistRoom ? -1 : num_entries;
}

__global__ void __launch_bounds__(kThreads) top_rows(Logits logits, const uint32_t* granule_keys,
                                                     int n, int32_t vocab_begin, Candidate* out) {
  __shared__ Collected collected;
  let_next_start();
  wait_for_previous();
  auto r = static_cast<int>(blockIdx.x);
  collect_largest(row_of(logits, granule_keys, r, vocab_begin), n, collected);
  Candidate* top = out + int64_t{r} * n;
  in_order(collected, [&](const Place& place, Packed p) {
    if (place.index < n) top[place.index] = {score_of(p), token_of(p)};
  });
  for (int i = collected.count + static_cast<int>(threadIdx.x); i < n; i += kThreads)
    top[i] = {-kInfinity, std::numeric_limits<int32_t>::max()};
}

constexpr int kDrawThreads = 2 * kMaxShortTopK;

// The largest values of a row, each once and the largest first, and how many logits have them; in
// shared memory, filled list by list by all threads of the block.
struct Values {
  uint32_t keys[kDrawThreads];
  int counts[kDrawThreads];
  int size;  // at most kMaxShortTopK; the rest is room for those of a list

  // Keeps the `k` largest of those that are here and those of the list, with all that equal the
  // last of them.
  __device__ void merge(const Shortlist& list, int k) {
    int thread = static_cast<int>(threadIdx.x), place = thread - kMaxShortTopK;
    bool is_new = place >= 0 && place < list.num_values && list.counts[place] > 0;
    uint32_t key = is_new ? key_of(list.values[place]) : keys[thread];
    int count = is_new ? list.counts[place] : 0;
    for (int i = 0; i < size && count > 0; ++i)
      if (keys[i] == key) counts[i] += count, count = 0;
    __syncthreads();
    if (thread < size) count = counts[thread];
    keys[thread] = key, counts[thread] = count;
    __syncthreads();
    int num_above = 0, index = 0;
    for (int i = 0; i < kDrawThreads; ++i)
      if (counts[i] > 0 && keys[i] > key) num_above += counts[i], ++index;
    __syncthreads();
    if (thread == 0) size = 0;
    __syncthreads();
    if (count > 0 && num_above < k) {
      keys[index] = key, counts[index] = count;
      atomicMax(&size, index + 1);
    }
    __syncthreads();
  }
};

// What top_k, min_p and top_p leave of a row: keys from `low` on; in every thread of the block.
struct RowCut {
  float max;
  uint32_t low;
};
__device__ RowCut cut_of(const DrawShortlistArgs& a, int r) {
  __shared__ Values values;
  __shared__ int64_t masses[kMaxShortTopK];
  __shared__ uint32_t low;
  const SamplingRow& row = a.rows[r];
  auto thread = static_cast<int>(threadIdx.x);
  if (thread == 0) values.size = 0, low = UINT32_MAX;
  __syncthreads();
  for (int rank = 0; rank < a.num_ranks; ++rank)
    values.merge(a.lists[int64_t{rank} * gridDim.x + r], row.top_k);
  int size = values.size;
  if (size == 0) return {-kInfinity, low};
  float max = number_of(values.keys[0]);
  bool is_in = thread < size && values.keys[thread] >= least_by_min_p(row, max);
  if (thread < size)
    masses[thread] =
        is_in ? values.counts[thread] * static_cast<int64_t>(mass_of(number_of(values.keys[thread]),
                                                                     max, 1.0f / row.temperature))
              : 0;
  __syncthreads();
  int64_t total = 0, above = 0;
  for (int i = 0; i < size; ++i) total += masses[i], above += i < thread ? masses[i] : 0;
  if (is_in && (row.top_p >= 1 || above < wanted_mass(row.top_p, total)))
    atomicMin(&low, values.keys[thread]);
  __syncthreads();
  return {max, low};
}

__global__ void __launch_bounds__(kDrawThreads) draw_rows(DrawShortlistArgs a, Logits logits) {
  __shared__ Packed shared[32];
  let_next_start();
  wait_for_previous();
  auto r = static_cast<int>(blockIdx.x);
  auto vocab_begin = static_cast<int32_t>(a.vocab_begin);
  const SamplingRow& row = a.rows[r];
  if (row.slot < 0 && threadIdx.x == 0) a.best[r] = {-kInfinity, vocab_begin};
  if (row.slot < 0 || !row.has_shortlist()) return;
  RowCut cut = cut_of(a, r);
  float inverse = 1.0f / row.temperature;
  uint64_t seed = row.seed;
  Packed best = 0;
  auto consider = [&](float logit, int32_t token) {
    if (candidate_key(logit) < cut.low) return;
    float score = noisy_score(logit, inverse, bits_of(seed, row.position, token));
    best = max(best, pack_candidate(score, token));
  };
  const ShortlistEntries& own = a.entries[r];
  for (int i = threadIdx.x; i < own.count; i += kDrawThreads)
    consider(own.entries[i].score, own.entries[i].token);
  if (own.count < 0) {
    Row all = row_of(logits, a.granule_keys, r, vocab_begin);
    for (int g = 0; g < all.num_granules; ++g) {
      if (all.granule_keys[g] < cut.low) continue;
      int i = g * kGranule + static_cast<int>(threadIdx.x);
      if (i < all.vocab) consider(all.logits[i], vocab_begin + i);
    }
  }
  best = block_max(best, shared);
  if (threadIdx.x != 0) return;
  a.selections[r] = {.max = cut.max, .low = cut.low};
  a.best[r] =
      best == 0 ? Candidate{-kInfinity, vocab_begin} : Candidate{score_of(best), token_of(best)};
}
static_assert(kDrawThreads == kGranule, "a thread for each logit of a granule");

LaunchShape block_a_row(int64_t rows, int threads) {
  return {dim3(static_cast<unsigned>(rows)), dim3(static_cast<unsigned>(threads))};
}

}  // namespace

void shortlist(Stream stream, TensorView logits, const SamplingRow* rows,
               const uint32_t* granule_keys, int64_t vocab_begin, Shortlist* lists,
               ShortlistEntries* entries) {
  if (logits.dim(0) == 0) return;
  launch(stream, block_a_row(logits.dim(0), kThreads), list_rows, logits_of(logits), rows,
         granule_keys, static_cast<int32_t>(vocab_begin), lists, entries);
}

void draw_shortlist(Stream stream, const DrawShortlistArgs& a) {
  if (a.logits.dim(0) == 0) return;
  launch(stream, block_a_row(a.logits.dim(0), kDrawThreads), draw_rows, a, logits_of(a.logits));
}

void top_logits(Stream stream, TensorView logits, const uint32_t* granule_keys, int n,
                int64_t vocab_begin, Candidate* out) {
  if (logits.dim(0) == 0 || n == 0) return;
  require(n <= kMaxShortTopK, "top_logits: too many");
  launch(stream, block_a_row(logits.dim(0), kThreads), top_rows, logits_of(logits), granule_keys, n,
         static_cast<int32_t>(vocab_begin), out);
}

}  // namespace ll::cuda
