#include "runtime/schedule/admission.h"

#include <algorithm>

namespace ll {

int64_t peak_pages(std::vector<Growth> sequences, int64_t page_span) {
  std::sort(sequences.begin(), sequences.end(),
            [](const Growth& a, const Growth& b) { return a.remaining > b.remaining; });
  int64_t peak = 0, tokens = 0, alive = 0;
  // When s ends, those before it are alive and have grown as much.
  for (const Growth& s : sequences) {
    tokens += s.tokens;
    ++alive;
    int64_t rounding = alive * (page_span - 1);  // part-full last pages
    peak = std::max(peak, (tokens + alive * s.remaining + rounding) / page_span);
  }
  return peak;
}

}  // namespace ll
