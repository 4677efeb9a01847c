#pragma once
// How blocks of the persistent decode kernel exchange activations: as flagged words, eight bytes
// that hold four of data and an epoch [NCCL's LL protocol]. A reader polls the data itself, so that
// waiting and loading are one trip through the L2 cache. One store writes a word and one load reads
// it, hence no fences and no barriers; words of a store or load of two may come one by one. Between
// ranks the same goes by way of the link: a word is stored to the reader's memory.
#include <cuda_runtime.h>

#include <cstdint>

namespace ll::cuda {

struct WordPair {
  uint64_t x, y;
};

__device__ inline uint64_t flagged(uint32_t data, uint32_t epoch) {
  return uint64_t{epoch} << 32 | data;
}
__device__ inline uint64_t flagged(float data, uint32_t epoch) {
  return flagged(__float_as_uint(data), epoch);
}

__device__ inline bool is_of(uint64_t word, uint32_t epoch) {
  return static_cast<uint32_t>(word >> 32) == epoch;
}
__device__ inline uint32_t data_of(uint64_t word) { return static_cast<uint32_t>(word); }
__device__ inline float float_of(uint64_t word) { return __uint_as_float(data_of(word)); }

__device__ inline void store_word(uint64_t* to, uint64_t word) {
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(to), "l"(word) : "memory");
}

// To any GPU's memory.
__device__ inline void store_remote_word(uint64_t* to, uint64_t word) {
  asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(to), "l"(word) : "memory");
}

// Two words at a multiple of 16 bytes.
__device__ inline void store_pair(uint64_t* to, uint64_t x, uint64_t y) {
  asm volatile("st.relaxed.gpu.global.v2.u64 [%0], {%1, %2};" ::"l"(to), "l"(x), "l"(y) : "memory");
}
__device__ inline WordPair load_pair(const uint64_t* from) {
  WordPair pair;
  asm volatile("ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2];"
               : "=l"(pair.x), "=l"(pair.y)
               : "l"(from)
               : "memory");
  return pair;
}

// The same of words that other GPUs store.
__device__ inline WordPair load_remote_pair(const uint64_t* from) {
  WordPair pair;
  asm volatile("ld.relaxed.sys.global.v2.u64 {%0, %1}, [%2];"
               : "=l"(pair.x), "=l"(pair.y)
               : "l"(from)
               : "memory");
  return pair;
}

// Where a pair is, if this thread has one.
struct PairSource {
  bool exists;
  const uint64_t* from;
};

// Until all pairs are of `epoch`; those that do not exist are zero. source(i) is a PairSource. A
// round has all its loads in flight at once, and asks for what is still missing alone: what has
// come would take the L2 cache's time from weights.
template <bool kAreRemote = false, int kPairs, class Source>
__device__ void await_pairs(Source source, uint32_t epoch, WordPair (&pairs)[kPairs]) {
  bool is_there[kPairs], complete;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    pairs[i] = {};
    is_there[i] = !source(i).exists;
  }
  do {
#pragma unroll
    for (int i = 0; i < kPairs; ++i)
      if (!is_there[i])
        pairs[i] = kAreRemote ? load_remote_pair(source(i).from) : load_pair(source(i).from);
    complete = true;
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      is_there[i] = is_there[i] || (is_of(pairs[i].x, epoch) && is_of(pairs[i].y, epoch));
      complete &= is_there[i];
    }
  } while (!complete);
}

}  // namespace ll::cuda
