#include "model/text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/check.h"

namespace ll {

namespace {

constexpr int32_t kEnd = -1;
constexpr uint32_t kNoRank = UINT32_MAX;

// The smallest entry is the merge to do next: by rank, then by place.
uint64_t heap_entry(uint32_t rank, int32_t place) {
  return uint64_t{rank} << 32 | static_cast<uint32_t>(place);
}

}  // namespace

Bpe::Bpe(const std::array<int32_t, 256>& byte_ids, std::span<const Merge> merges)
    : byte_ids_(byte_ids), slots_(std::bit_ceil(merges.size() * 3 / 2 + 1)) {
  ensure(merges.size() < kNoRank, "more merges than ranks");
  results_.reserve(merges.size());
  for (const Merge& merge : merges) {
    auto rank = static_cast<uint32_t>(results_.size());
    slots_[slot_of(merge.left, merge.right)] = {merge.left, merge.right, rank, merge.result};
    results_.push_back(merge.result);
  }
}

size_t Bpe::slot_of(int32_t left, int32_t right) const {
  size_t mask = slots_.size() - 1;
  uint64_t pair = heap_entry(static_cast<uint32_t>(left), right);
  size_t slot = (pair * 0x9E3779B97F4A7C15u) >> 32 & mask;
  while (slots_[slot].left != -1 && (slots_[slot].left != left || slots_[slot].right != right))
    slot = (slot + 1) & mask;
  return slot;
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  ensure(word.size() < INT32_MAX, "word of more than 2 GiB");
  auto n = static_cast<int32_t>(word.size());
  auto& symbols = scratch.symbols_;
  symbols.resize(word.size());
  scratch.heap_.clear();
  for (int32_t i = 0; i < n; ++i) {
    auto at = static_cast<size_t>(i);
    auto byte = static_cast<unsigned char>(word[at]);
    symbols[at] = {byte_ids_[byte], i - 1, i + 1 == n ? kEnd : i + 1, kNoRank};
  }
  for (int32_t i = 0; i < n; ++i) rank_pair(scratch, i);

  while (!scratch.heap_.empty()) {
    std::pop_heap(scratch.heap_.begin(), scratch.heap_.end(), std::greater<>());
    uint64_t entry = scratch.heap_.back();
    scratch.heap_.pop_back();
    auto left = static_cast<int32_t>(entry & UINT32_MAX);
    // A symbol only grows, so an entry whose pair is gone never has the pair's rank again.
    if (symbols[static_cast<size_t>(left)].rank == entry >> 32) merge(scratch, left);
  }
  for (int32_t i = n > 0 ? 0 : kEnd; i != kEnd; i = symbols[static_cast<size_t>(i)].next)
    ids.push_back(symbols[static_cast<size_t>(i)].id);
}

// Looks the pair up that begins at `left` and puts its merge into the heap.
void Bpe::rank_pair(Scratch& scratch, int32_t left) const {
  auto& symbol = scratch.symbols_[static_cast<size_t>(left)];
  symbol.rank = kNoRank;
  if (symbol.next == kEnd) return;
  const auto& next = scratch.symbols_[static_cast<size_t>(symbol.next)];
  const Slot& slot = slots_[slot_of(symbol.id, next.id)];
  if (slot.left == -1) return;
  symbol.rank = slot.rank;
  scratch.heap_.push_back(heap_entry(slot.rank, left));
  std::push_heap(scratch.heap_.begin(), scratch.heap_.end(), std::greater<>());
}

void Bpe::merge(Scratch& scratch, int32_t left) const {
  auto& symbol = scratch.symbols_[static_cast<size_t>(left)];
  auto& gone = scratch.symbols_[static_cast<size_t>(symbol.next)];
  symbol.id = results_[symbol.rank];
  symbol.next = gone.next;
  gone.rank = kNoRank;
  if (symbol.next != kEnd) scratch.symbols_[static_cast<size_t>(symbol.next)].previous = left;
  rank_pair(scratch, left);
  if (symbol.previous != kEnd) rank_pair(scratch, symbol.previous);
}

}  // namespace ll
