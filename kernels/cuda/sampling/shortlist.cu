// The few largest logits of a row, found through its granules' keys, and draws among them. A block
// a row: what it reads are the keys and the granules that hold the largest, a hundredth of the row.
#include "kernels/cuda/sampling/sampling_cut.cuh"
#include "kernels/cuda/sampling/sampling_noise.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;  // as many as bins of a byte
constexpr int kRoom = 1024;    // candidates that a block collects and puts in order

struct Row {
  const float* logits;
  const uint32_t* granule_keys;
  int vocab, num_granules, first_token;
};

struct Collected {
  Packed candidates[kRoom];
  int count;  // of those there are; those past kRoom are not kept
};

// The sum of `mine` over the threads before this one. `shared` has a word a warp.
__device__ int sum_before(int mine, int* shared) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, sum = mine;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    int other = __shfl_up_sync(kFullWarp, sum, distance);
    if (lane >= distance) sum += other;
  }
  if (lane == 31) shared[warp] = sum;
  __syncthreads();
  int before = sum - mine;
  for (int w = 0; w < warp; ++w) before += shared[w];
  return before;
}

// Where the k largest of some keys end: at those that share the leading bytes of `key`, which are
// `num_equal`; `num_above` are larger. All that are candidates where there are no k.
struct Cut {
  uint32_t key;
  int num_above, num_equal;
};

// By `num_bytes` of a radix select, with all threads of the block.
template <class KeyAt>
__device__ Cut find_cut(const KeyAt& key_at, int count, int k, int num_bytes) {
  __shared__ int bins[kThreads], sums[kThreads / 32];
  __shared__ Cut found;
  Cut cut{0, 0, 0};
  auto thread = static_cast<int>(threadIdx.x);
  for (int round = 0; round < num_bytes; ++round) {
    int shift = 24 - 8 * round;
    bins[thread] = 0;
    if (thread == 0) found.num_equal = 0;
    __syncthreads();
    for (int i = thread; i < count; i += kThreads) {
      uint32_t key = key_at(i);
      bool shares_prefix = round == 0 || (key ^ cut.key) >> (shift + 8) == 0;
      if (key >= kLeastKey && shares_prefix) atomicAdd(bins + (key >> shift & 255), 1);
    }
    __syncthreads();
    int bin = 255 - thread, mine = bins[bin], before = cut.num_above + sum_before(mine, sums);
    if (before < k && k <= before + mine)
      found = {cut.key | static_cast<uint32_t>(bin) << shift, before, mine};
    __syncthreads();
    if (found.num_equal == 0) return {kLeastKey, 0, 0};  // in the first round alone
    cut = found;
    __syncthreads();
  }
  return cut;
}

// The candidates whose keys reach `least`, in any order.
__device__ void collect(const Row& row, uint32_t least, Collected& collected) {
  if (threadIdx.x == 0) collected.count = 0;
  __syncthreads();
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int g = warp; g < row.num_granules; g += kThreads / 32) {
    if (row.granule_keys[g] < least) continue;
    for (int i = g * kGranule + lane; i < min((g + 1) * kGranule, row.vocab); i += 32) {
      float x = row.logits[i];
      if (candidate_key(x) < least) continue;
      int at = atomicAdd(&collected.count, 1);
      if (at < kRoom) collected.candidates[at] = pack_candidate(x, row.first_token + i);
    }
  }
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

// The k largest are among what is collected then. Returns the least of them as a cut where more
// logits equal it than are collected, else none.
__device__ Cut collect_largest(const Row& row, int k, Collected& collected) {
  // A bound that may be low: the k largest keys of granules are k logits.
  Cut bound = find_cut([&](int g) { return row.granule_keys[g]; }, row.num_granules, k, 2);
  collect(row, bound.key, collected);
  if (collected.count <= kRoom) return {};
  // Many are alike: the exact cut, through all logits.
  Cut cut = find_cut([&](int i) { return candidate_key(row.logits[i]); }, row.vocab, k, 4);
  bool are_few = cut.num_above + cut.num_equal <= kRoom;
  collect(row, are_few ? cut.key : cut.key + 1, collected);
  if (are_few) return {};
  collect_equal(row, cut.key, k, collected);
  return cut;
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
  Cut alike = collect_largest(row_of(logits, granule_keys, r, vocab_begin), k, collected);
  Shortlist& list = lists[r];
  ShortlistEntries& own = entries[r];
  in_order(collected, [&](const Place& place, Packed p) {
    bool is_last_alike = alike.num_equal > 0 && static_cast<uint32_t>(p >> 32) == alike.key;
    if (place.index < k) {
      list.values[place.index] = score_of(p);
      list.counts[place.index] = place.index != place.num_larger ? 0
                                 : is_last_alike                 ? alike.num_equal
                                                                 : place.num_equal;
    }
    if (place.num_larger >= k) return;
    atomicAdd(&num_entries, 1);
    if (place.index < kShortlistRoom) own.entries[place.index] = {score_of(p), token_of(p)};
  });
  __syncthreads();
  if (threadIdx.x != 0) return;
  list.num_values = min(k, collected.count);
  own.count = alike.num_equal > 0 || num_entries > kShortlistRoom ? -1 : num_entries;
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

constexpr int kDrawThreads = 128;

// The values of a row in the lists of all ranks, each with the number of logits that have it.
class Values {
 public:
  __device__ Values(const DrawShortlistArgs& a, int r) : a_(a), r_(r) {}

  // take(value, key, count) for all of them, or for every kDrawThreads-th from the thread's own on.
  template <class Take>
  __device__ void for_each(int first, int step, const Take& take) const {
    for (int i = first; i < a_.num_ranks * kMaxShortTopK; i += step) {
      const Shortlist& list = a_.lists[int64_t{i / kMaxShortTopK} * gridDim.x + r_];
      int at = i % kMaxShortTopK;
      if (at >= list.num_values) {  // to the next rank
        if (step == 1) i += kMaxShortTopK - 1 - at;
        continue;
      }
      if (int count = list.counts[at]; count > 0)
        take(list.values[at], key_of(list.values[at]), count);
    }
  }
  template <class Take>
  __device__ void for_all(const Take& take) const {
    for_each(0, 1, take);
  }
  template <class Take>
  __device__ void for_mine(const Take& take) const {
    for_each(static_cast<int>(threadIdx.x), kDrawThreads, take);
  }

 private:
  const DrawShortlistArgs& a_;
  int r_;
};

// The row's cut: the key that top_k, min_p and top_p ask for, in every thread of the block.
struct RowCut {
  float max;
  uint32_t low;
};
__device__ RowCut cut_of(const Values& values, const SamplingRow& row) {
  __shared__ unsigned long long total;
  __shared__ uint32_t low;
  if (threadIdx.x == 0) total = 0, low = UINT32_MAX;
  float max = -kInfinity, inverse = 1.0f / row.temperature;
  values.for_all([&](float value, uint32_t, int) { max = fmaxf(max, value); });
  uint32_t least = least_by_min_p(row, max);
  __syncthreads();
  auto is_among_k = [&](uint32_t key) {
    int num_above = 0;
    values.for_all([&](float, uint32_t other, int count) { num_above += other > key ? count : 0; });
    return key >= least && num_above < row.top_k;
  };
  auto mass = [&](float value, int count) {
    return static_cast<unsigned long long>(count) * mass_of(value, max, inverse);
  };
  values.for_mine([&](float value, uint32_t key, int count) {
    if (!is_among_k(key)) return;
    if (row.top_p < 1)
      atomicAdd(&total, mass(value, count));
    else
      atomicMin(&low, key);
  });
  __syncthreads();
  if (row.top_p < 1) {
    auto wanted =
        static_cast<unsigned long long>(wanted_mass(row.top_p, static_cast<int64_t>(total)));
    values.for_mine([&](float, uint32_t key, int) {
      if (!is_among_k(key)) return;
      unsigned long long above = 0;
      values.for_all([&](float other, uint32_t other_key, int count) {
        if (other_key > key) above += mass(other, count);
      });
      if (above < wanted) atomicMin(&low, key);
    });
    __syncthreads();
  }
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
  RowCut cut = cut_of(Values(a, r), row);
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
