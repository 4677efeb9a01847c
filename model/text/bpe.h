#pragma once
// Byte pair encoding [Sennrich et al. 2016] of one word: the pair of neighbours whose merge comes
// first in the list is joined, the leftmost of equals first, until no pair is in the list.
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ll {

class Bpe {
 public:
  struct Merge {
    int32_t left, right, result;
  };
  // Buffers of one caller, kept between words.
  class Scratch {
    friend class Bpe;
    struct Symbol {
      int32_t id, previous, next;
      uint32_t rank;  // of the merge with the next symbol
    };
    std::vector<Symbol> symbols_;
    std::vector<uint64_t> heap_;
  };

  // `byte_ids`: the token of each byte. Of equal pairs in `merges` the last one stands.
  Bpe(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges);

  // Appends the tokens of `word` in O(n log n). Thread-safe, each thread with a scratch of its own.
  void encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  struct Slot {
    int32_t left = -1, right = -1;
    uint32_t rank = 0;
    int32_t result = 0;
  };
  size_t slot_of(int32_t left, int32_t right) const;
  void rank_pair(Scratch& scratch, int32_t left) const;
  void merge(Scratch& scratch, int32_t left) const;

  std::array<int32_t, 256> byte_ids_;
  std::vector<Slot> slots_;       // open addressing by the hash of the pair
  std::vector<int32_t> results_;  // by rank
};

}  // namespace ll
