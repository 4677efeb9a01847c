#pragma once
// Speculative decoding as the user wants it: kernels/speculation_ops.h.
#include <algorithm>
#include <cstdint>

namespace ll {

// Rows of drafts that a step has at most: with so many sequences that there are more, a step's time
// is that of its rows, and nothing is gained.
constexpr int32_t kMostDraftRows = 64;

struct DraftOptions {
  int32_t max_drafts = 0;                // of a sequence in a step; 0: no speculation
  int32_t min_match = 2, max_match = 8;  // tokens that agree before a draft
  bool is_adaptive = true;               // as many as pay; else max_drafts wherever it may be
  float synthetic_length = 0;            // see AcceptArgs

  bool are_on() const { return max_drafts > 0; }
  int32_t max_rows(int32_t max_num_seqs) const {
    return static_cast<int32_t>(
        std::min(int64_t{max_drafts} * max_num_seqs, int64_t{kMostDraftRows}));
  }
};

}  // namespace ll
