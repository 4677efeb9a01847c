#pragma once
// From logits to tokens, on the device and over a sharded vocabulary. Each rank holds logits of its
// rows [vocab_begin, vocab_begin + V) of the vocabulary; between two ops the ranks exchange a few
// bytes a row (model/decoder/sampler.cpp).
//
// A row with top_k of up to kMaxShortTopK draws among a shortlist: each rank finds its largest
// logits through granules of the row, all of them exchange the values, and know the cut.
//
// Other top_k and top_p need no sort and no gather: a radix select over the bits of the logits, 11
// + 11 + 10 of them, whose histograms are integers (counts, or probabilities in fixed point).
// Integer sums do not depend on their order, so any sharding cuts at the same logit. The draw is
// Gumbel-max [Gumbel 1954]: argmax of logit / temperature + noise, the noise from Philox4x32-10
// [Salmon et al. 2011] keyed by (seed, position, token id), so a token depends on nothing else.
#include <cstdint>

#include "kernels/device_api.h"
#include "kernels/draw.h"
#include "kernels/tensor.h"

namespace ll {

// One row of logits and how its token is drawn.
struct SamplingRow : Draw {
  int32_t slot = -1;     // last_tokens[slot] receives the token; -1: an unused row
  int32_t position = 0;  // of the drawn token in its sequence
};

// logits[row][token] += bias; -inf bans the token.
struct LogitEdit {
  int32_t row = 0;
  int32_t token = 0;
  float bias = 0;
  int32_t after = -1;  // only where this is the last token of the row's slot; -1: wherever
};

// token_counts[slot][token]: how often the token stands in the output; kInPrompt is set when the
// prompt has it, kForbidden when it is none of those that the request allows.
constexpr int32_t kInPrompt = 1 << 30, kForbidden = 1 << 29;
constexpr int32_t times_in_output(int32_t count) { return count & (kForbidden - 1); }

// What a sequence's counts start from, one list behind the other: tokens allowed, of the prompt,
// of the output.
struct CountedTokens {
  const int32_t* tokens = nullptr;  // [length()] on the device
  int32_t num_allowed = 0;          // 0: all are allowed
  int32_t num_prompt = 0, num_output = 0;

  constexpr int32_t length() const { return num_allowed + num_prompt + num_output; }
};

// Where a row's radix select stands. Entries whose ordered key reaches `low` are accepted.
struct Selection {
  float max = 0;  // largest logit of the row over all ranks
  uint32_t low = 0;
  uint32_t prefix = 0;  // bits of the cut found so far
  // Count, or fixed-point mass, still to be found at or below the prefix's end.
  int64_t remaining = 0;
};

enum class SelectBy : uint8_t { kTopK, kTopP };
constexpr int kSelectRounds = 3;
constexpr int kSelectBins = 2048;
constexpr int kMassBits = 40;  // exp((logit - max) / temperature) in units of 2^-40
constexpr int select_shift(int round) { return round == 0 ? 21 : round == 1 ? 10 : 0; }
constexpr int select_width(int round) { return round == 2 ? 10 : 11; }

// Order-preserving key of a float (NaN aside).
constexpr uint32_t ordered_key(uint32_t float_bits) {
  return float_bits & 0x80000000u ? ~float_bits : float_bits | 0x80000000u;
}

struct Candidate {
  float score = 0;
  int32_t token = 0;
};

// A row's logits in granules of so many, of which each has a key: the largest key of its logits.
// What is no number, and what is -inf, is no candidate: a key below kLeastKey.
constexpr int kGranule = 128;
constexpr uint32_t kLeastKey = ordered_key(0xff800000u) + 1;
constexpr int64_t num_granules(int64_t vocab) { return (vocab + kGranule - 1) / kGranule; }

// The top_k largest logits that a shard has of a row, from the largest on; fewer where there are
// fewer candidates.
struct Shortlist {
  float values[kMaxShortTopK];
  // How many logits of the shard have the value, with the first place that has it; 0 with others.
  int32_t counts[kMaxShortTopK];
  int32_t num_values;
};

// All logits of the shard that are not below its shortlist's, in any order.
constexpr int kShortlistRoom = 128;
struct ShortlistEntries {
  Candidate entries[kShortlistRoom];
  int32_t count;  // -1: there is no room for so many
};

struct DrawShortlistArgs {
  TensorView logits;
  const SamplingRow* rows;
  const uint32_t* granule_keys;
  const Shortlist* lists;  // [num_ranks, num_rows]
  int num_ranks;
  const ShortlistEntries* entries;  // [num_rows], this shard's
  int64_t vocab_begin;
  Selection* selections;  // [num_rows]: max and low of the rows that are drawn
  Candidate* best;        // [num_rows]
};

struct ChooseArgs {
  const Candidate* gathered;  // [num_ranks, num_rows]
  int num_ranks;
  const SamplingRow* rows;
  int32_t num_rows;
  int32_t* tokens;              // [num_rows]
  int32_t* const* host_tokens;  // where they go as well, if anywhere: the address of memory of
                                // DeviceApi::alloc_host lies in the device's, or is null
  int32_t* last_tokens;         // [slots]
  int32_t* token_counts;        // [slots, vocab], of rows that have them
  int64_t vocab_begin, vocab;   // this shard's part
};

struct SamplingOps {
  // `logits` [R, V] float32 everywhere; `rows` [R] on the device.
  // The edits, on the device, are in the order of their rows; `last_tokens` [slots] are looked at
  // where an edit has `after`.
  void (&edit_logits)(Stream, TensorView logits, const SamplingRow* rows,
                      const int32_t* last_tokens, const LogitEdit* edits, int32_t count,
                      int64_t vocab_begin);
  // Bans what is forbidden, then penalizes; null counts: neither. What it then knows of rows with a
  // shortlist comes to granule_keys, if not null; a backend that can do without leaves them as they
  // are.
  void (&apply_penalties)(Stream, TensorView logits, const SamplingRow* rows,
                          const int32_t* token_counts, uint32_t* granule_keys);
  // Starts a sequence's counts ([vocab], this shard's).
  void (&reset_counts)(Stream, int32_t* counts, int64_t vocab, const CountedTokens&,
                       int64_t vocab_begin);

  // Rows with a shortlist: this shard's, by the keys that apply_penalties gave.
  void (&shortlist)(Stream, TensorView logits, const SamplingRow* rows,
                    const uint32_t* granule_keys, int64_t vocab_begin, Shortlist* lists,
                    ShortlistEntries* entries);
  // The shard's best (score, token) of rows with a shortlist. Ties at the cut stay.
  void (&draw_shortlist)(Stream, const DrawShortlistArgs&);

  // For the others. row_max[r]: largest logit; the ranks' maximum becomes selections[r].max, and
  // min_p sets `low`.
  void (&row_max)(Stream, TensorView logits, float* row_max);
  void (&begin_selection)(Stream, const SamplingRow* rows, const float* row_max,
                          Selection* selections, int32_t num_rows);
  // histogram [R, kSelectBins] int64, of the entries accepted so far that share the prefix found in
  // earlier rounds.
  void (&histogram)(Stream, TensorView logits, const SamplingRow* rows, const Selection* selections,
                    SelectBy by, int round, int64_t* histogram);
  // Takes the summed histogram and fixes the next bits of the cut; the last round raises `low` to
  // it. Ties at the cut stay.
  void (&narrow)(Stream, const SamplingRow* rows, const int64_t* histogram, SelectBy by, int round,
                 Selection* selections, int32_t num_rows);

  // best[r]: the shard's best (score, token) of a row without a shortlist; selections may be null
  // when none of them restricts its choice.
  void (&draw)(Stream, TensorView logits, const SamplingRow* rows, const Selection* selections,
               int64_t vocab_begin, Candidate* best);
  // The best of gathered[num_ranks][R] becomes the row's token.
  void (&choose)(Stream, const ChooseArgs&);

  // For logprobs: max and sum of exp(logit - max) of a row's shard; the logit of a target token
  // (-inf when another rank has it); the n <= kMaxShortTopK largest logits, descending, ties to the
  // lower id, -inf where there are no more candidates.
  // log_sum_exp gives granule_keys, if not null, for top_logits: as apply_penalties does.
  void (&log_sum_exp)(Stream, TensorView logits, float* max_and_sum,
                      uint32_t* granule_keys);  // [R, 2]
  void (&target_logits)(Stream, TensorView logits, const int32_t* targets, int64_t vocab_begin,
                        float* out);  // [R]
  void (&top_logits)(Stream, TensorView logits, const uint32_t* granule_keys, int n,
                     int64_t vocab_begin, Candidate* out);  // [R, n]
};

}  // namespace ll
