#pragma once
// Which positions of a sequence a rank stores, where several share the KV cache of the same heads:
// runs of `page_size` positions are dealt to the ranks in turn. A pure function of the position, so
// prefixes are shared between sequences without anyone keeping track of owners.
//
// A run fills a page of its rank: page i of a sequence stands for the same `parts` runs on every
// rank, of which each holds its own. So all ranks have the same page table, page ids and numbers of
// pages, none stores what is another's, and a page stands for `span()` positions.
#include <cstdint>

namespace ll {

struct PositionSplit {
  int32_t parts = 1, part = 0;
  int32_t page_size = 1;

  constexpr int32_t span() const { return page_size * parts; }
  constexpr bool owns(int32_t position) const { return position / page_size % parts == part; }
  // Own positions below `length`; of an own position, its place among the own.
  constexpr int32_t count(int32_t length) const {
    if (parts == 1) return length;
    int32_t rest = length % span() - part * page_size;
    return length / span() * page_size + (rest < 0 ? 0 : rest < page_size ? rest : page_size);
  }
};

}  // namespace ll
