#pragma once
// What a step says of the pages of the KV cache, on its way to the device.
#include <cstdint>

namespace ll {

// Rows [0, num_rows) of a page are copied to another page, in every layer's keys and values.
// No page is both a source and a target of one call.
struct PageCopy {
  int32_t source = 0, target = 0, num_rows = 0;
};

struct PageDelta {
  int32_t slot = 0, index = 0, page = 0;  // page_table[slot][index] = page
};

// Decode rows [first_row, first_row + num_rows) of a step, in whose page tables entries
// [first_page, first_page + num_pages) are the same pages, full of positions before the rows' own:
// they may be read once for all of them. Groups nest: a list of them has a group behind its parent,
// which has its rows and ends where it begins; without one, -1, a group begins at page 0. Groups of
// one parent have no row in common.
struct PrefixGroup {
  int32_t first_row = 0, num_rows = 0;
  int32_t first_page = 0, num_pages = 0;
  int32_t parent = -1;

  constexpr int32_t end_row() const { return first_row + num_rows; }
  constexpr int32_t end_page() const { return first_page + num_pages; }
  bool operator==(const PrefixGroup&) const = default;
};

}  // namespace ll
