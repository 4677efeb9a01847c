#include <algorithm>

#include "kernels/cpu/cpu_ops.h"

namespace ll::cpu {
namespace {

// The best match of the last tokens of `slot`; 0: there is none.
uint64_t best_match(const ProposeArgs& a, int32_t slot) {
  const TokenHistory& h = a.history;
  const int32_t* own = h.tokens + slot * h.stride;
  int32_t length = h.lengths[slot];
  uint64_t best = 0;
  for (int32_t other = 0; other < h.num_slots; ++other) {
    const int32_t* tokens = h.tokens + other * h.stride;
    bool is_own = other == slot;
    int32_t end = h.lengths[other] - 1, begin = is_own ? 0 : std::max(0, end - kOtherTokens);
    for (int32_t j = begin; j < end; ++j) {
      int32_t agree = match_length(tokens, j, own, length, a.max_match);
      if (agree >= a.min_match) best = std::max(best, match_key(agree, is_own, other, j));
    }
  }
  return best;
}

}  // namespace

void start_histories(Stream, const TokenHistory& h, const HistoryStart* starts, int32_t count,
                     const int32_t* tokens) {
  for (int32_t i = 0; i < count; ++i) {
    const HistoryStart& s = starts[i];
    std::copy_n(tokens + s.first_token, s.num_tokens, h.tokens + s.slot * h.stride);
    h.lengths[s.slot] = s.num_tokens;
    h.ends[s.slot] = s.end;
  }
}

void propose_drafts(Stream, const ProposeArgs& a) {
  for (int32_t first = 0; first + a.rows_each <= a.num_rows; first += a.rows_each) {
    if (a.positions[first] < 0) continue;
    uint64_t match = a.rows_each > 1 ? best_match(a, a.slots[first]) : 0;
    for (int32_t i = 0; i < a.rows_each; ++i) write_row(a, first, i, match);
  }
}

void accept_drafts(Stream, const AcceptArgs& a) {
  int32_t row = 0;
  for (; row + a.rows_each <= a.num_decode; row += a.rows_each) accept_rows(a, row, a.rows_each);
  for (; row < a.num_rows; ++row) accept_rows(a, row, 1);
}

}  // namespace ll::cpu
