#pragma once
// Several tokens a step without a draft model: what a sequence says next is looked up in what was
// said before (prompt lookup [Saxena 2023]), runs as rows beside its last token, and stands as far
// as the sampler draws the same. The host plans a step before it knows how much of the one before
// stood, so lengths live here: the host says where rows are at most, and propose_drafts puts them
// where they are.
//
// A step has `rows_each` rows side by side for each sequence that decodes: its last token, then
// its drafts. Sample i of a step is drawn from row i.
#include <cstdint>

#include "kernels/device_api.h"
#include "kernels/sampling_ops.h"

namespace ll {

// The tokens of the sequence in each slot, prompt and output; of one that has ended they stay until
// another takes its slot. All on the device.
struct TokenHistory {
  int32_t* tokens = nullptr;  // [num_slots, stride]
  int64_t stride = 0;
  int32_t num_slots = 0;
  int32_t* lengths = nullptr;  // [num_slots] of `tokens`; the last one's row has not run
  int32_t* ends = nullptr;     // [num_slots] no row's position reaches this
};

// A sequence takes a slot, with tokens [first_token, first_token + num_tokens) of a list.
struct HistoryStart {
  int32_t slot = 0;
  int32_t first_token = 0, num_tokens = 0;
  int32_t end = 0;  // see TokenHistory::ends
};

struct ProposeArgs {
  TokenHistory history;
  int32_t num_rows = 0;  // decode rows; those behind whole sequences are unused
  int32_t rows_each = 1;
  int32_t min_match = 2, max_match = 8;  // tokens that agree before a draft, the more the better
  bool fills = false;                    // all drafts are wanted, whatever they are
  const int32_t* slots = nullptr;        // [num_rows]
  // A sequence whose first row is unused (position -1) stays so. Of the others all rows are
  // written, but the first one's id: a row that is not to run gets position -1 and slot -1.
  int32_t* ids = nullptr;           // [num_rows]
  int32_t* positions = nullptr;     // [num_rows]
  SamplingRow* sampling = nullptr;  // [num_rows]
};
// Tokens of other slots' sequences, their last ones, in which drafts are looked for.
constexpr int32_t kOtherTokens = 1024;

struct AcceptArgs {
  TokenHistory history;
  int32_t num_rows = 0;    // samples
  int32_t num_decode = 0;  // of them, those of sequences that have rows_each; the others have one
  int32_t rows_each = 1;
  const SamplingRow* rows = nullptr;      // [num_rows]
  const int32_t* ids = nullptr;           // [num_decode] as propose_drafts left them
  const int32_t* tokens = nullptr;        // [num_rows] drawn
  int32_t* const* host_tokens = nullptr;  // [num_rows] in memory of DeviceApi::alloc_host
  int32_t* last_tokens = nullptr;         // [num_slots]
  // Above 0: so many tokens of a sequence stand on average, whatever is drawn; for benchmarks.
  float synthetic_length = 0;
};

struct SpeculationOps {
  // `starts` and `tokens` on the device.
  void (&start_histories)(Stream, const TokenHistory&, const HistoryStart* starts, int32_t count,
                          const int32_t* tokens);
  // The drafts of a sequence follow the longest match of its last tokens: in its own tokens rather
  // than in those of another slot, and at the latest place. A match that comes to the sequence's
  // end goes on from its own beginning, as loops do.
  void (&propose_drafts)(Stream, const ProposeArgs&);
  // Drafts stand as far as they equal what was drawn before them; the tokens drawn so far go to
  // the histories, last_tokens and the host.
  void (&accept_drafts)(Stream, const AcceptArgs&);
};

// A match, as a number: the better the larger. `index` is that of the last token that agrees.
constexpr uint64_t match_key(int32_t length, bool is_own, int32_t slot, int32_t index) {
  return static_cast<uint64_t>(length) << 58 | static_cast<uint64_t>(is_own) << 57 |
         static_cast<uint64_t>(slot) << 32 | static_cast<uint64_t>(index);
}
struct MatchPlace {
  int32_t slot, index;
};
constexpr MatchPlace place_of_match(uint64_t key) {
  return {static_cast<int32_t>(key >> 32 & ((1u << 25) - 1)), static_cast<int32_t>(key)};
}
constexpr int32_t kLongestMatch = 63;

// How many drafts stand when it is said how many do: `length` tokens on average, drawn by the
// sequence's length.
constexpr int32_t synthetic_drafts(float synthetic_length, int32_t length) {
  uint32_t z = static_cast<uint32_t>(length) * 0x9E3779B9u;
  z ^= z >> 15, z *= 0x85EBCA6Bu, z ^= z >> 13;
  return static_cast<int32_t>(synthetic_length - 1 + static_cast<float>(z >> 8) * 0x1p-24f);
}

// The parts of the ops that are one sequence's, the same on all devices.

// Tokens that agree where row `at` of a history (up to and with index j) is laid over the last
// ones of `own`, `length` of them.
constexpr int32_t match_length(const int32_t* at, int64_t j, const int32_t* own, int64_t length,
                               int32_t most) {
  int32_t m = 0;
  while (m < most && m <= j && m < length && at[j - m] == own[length - 1 - m]) ++m;
  return m;
}

// Row `index` of a sequence: where it stands, and its draft behind a match (0: there is none).
constexpr void write_row(const ProposeArgs& a, int32_t first_row, int32_t index, uint64_t match) {
  const TokenHistory& h = a.history;
  int32_t row = first_row + index, slot = a.slots[first_row], length = h.lengths[slot],
          position = length - 1 + index;
  bool runs = position < h.ends[slot];
  if (index > 0 && runs) {
    int32_t draft = -1;
    if (match != 0) {
      MatchPlace place = place_of_match(match);
      int32_t next = place.index + 1, end = h.lengths[place.slot], at = next + index - 1;
      if (place.slot == slot) at = next + (index - 1) % (end - next);
      if (at < end) draft = h.tokens[place.slot * h.stride + at];
    }
    if (draft < 0 && a.fills) draft = h.tokens[slot * h.stride + length - 1];
    runs = draft >= 0;
    a.ids[row] = runs ? draft : 0;
  }
  a.positions[row] = runs ? position : -1;
  a.sampling[row].slot = runs ? slot : -1;
  a.sampling[row].position = position + 1;
}

// What the next step begins with where no token was drawn (kUndrawnToken): any.
constexpr int32_t fed_back(int32_t token) { return token < 0 ? 0 : token; }

// Samples [first, first + count) are one sequence's.
constexpr void accept_rows(const AcceptArgs& a, int32_t first, int32_t count) {
  const TokenHistory& h = a.history;
  int32_t slot = a.rows[first].slot, accepted = 0, emitted = 0;
  if (slot >= 0) {
    int32_t length = h.lengths[slot];
    int32_t forced = a.synthetic_length > 0 ? synthetic_drafts(a.synthetic_length, length) : -1;
    while (accepted + 1 < count && a.rows[first + accepted + 1].slot >= 0 &&
           (forced < 0 ? a.ids[first + accepted + 1] == a.tokens[first + accepted]
                       : accepted < forced))
      ++accepted;
    emitted = accepted + 1;
    for (int32_t i = 0; i < emitted; ++i)
      h.tokens[slot * h.stride + length + i] = fed_back(a.tokens[first + i]);
    h.lengths[slot] = length + emitted;
    a.last_tokens[slot] = fed_back(a.tokens[first + accepted]);
  }
  int32_t* host = *a.host_tokens;
  for (int32_t i = 0; i < count; ++i)
    host[first + i] = i < emitted                  ? a.tokens[first + i]
                      : a.rows[first + i].slot < 0 ? kUndraftedToken
                                                   : kRejectedToken;
}

}  // namespace ll
