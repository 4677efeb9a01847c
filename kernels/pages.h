#pragma once
// What a step changes about the pages of the KV cache, on its way to the device.
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

}  // namespace ll
