#pragma once
// Draws tokens from logits that are sharded over the replica's ranks: a fixed sequence of ops and
// small exchanges, with no wait of the host. All ranks end with the same tokens in their own
// memory.
#include "kernels/backend.h"
#include "parallel/communicator.h"
#include "parallel/shard_spec.h"

namespace ll {

constexpr int kMaxLogprobs = 20;

// Logprob ingredients of R rows on the device; `ranks` parts of the vocabulary.
struct ScoredRows {
  TensorView max_and_sum;  // [ranks, R, 2] float32: of each part, the largest logit and the sum of
                           // exp(logit - largest)
  TensorView chosen;       // [R] float32: logit of the chosen (or given) token
  TensorView top;          // [ranks, R, num_logprobs] Candidate, as bytes
};

class Sampler {
 public:
  // Buffers for up to `max_rows` rows a call.
  Sampler(const Backend& backend, Communicator& comm, Range vocab, int64_t max_rows,
          int64_t num_slots);

  struct Args {
    TensorView logits;        // [R, V] float32, this rank's part; clobbered
    const SamplingRow* rows;  // device [R]
    const LogitEdit* edits;   // device
    SamplingNeeds needs;
    int32_t* last_tokens;                   // device [num_slots]
    int32_t* const* host_tokens = nullptr;  // see ChooseArgs
  };
  // Tokens go to args.last_tokens and host_tokens; returned are their scores, where asked for,
  // valid until the next call.
  ScoredRows sample(Stream stream, const Args& args);

  // What the last sample() drew: [rows] on the device.
  const int32_t* tokens() const { return tokens_.view().as<int32_t>(); }

  // Scores given tokens: `targets` [R] on the device.
  ScoredRows score(Stream stream, TensorView logits, const int32_t* targets, int num_logprobs);

  // A sequence that has counts takes `slot`; the tokens, on the device, are those it allows, its
  // prompt's, then its output's (after preemption).
  void reset_counts(Stream stream, int32_t slot, const CountedTokens& counted);

  static size_t buffer_bytes(int ranks, Range vocab, int64_t max_rows, int64_t num_slots);

 private:
  void draw_shortlists(Stream stream, const Args& args);
  const Selection* select(Stream stream, const Args& args, int64_t rows);

  const Backend& backend_;
  Communicator& comm_;
  Range vocab_;
  // [max_rows, V] float32: logits before edits, where logprobs are wanted as well.
  Tensor raw_logits_;
  Tensor counts_;  // [num_slots, V] int32
  // [max_rows, num_granules(V)] uint32: of the logits as they are drawn, or as they are scored.
  Tensor granule_keys_;
  Tensor shortlists_, all_shortlists_;  // [max_rows], [ranks, max_rows] Shortlist
  Tensor entries_;                      // [max_rows] ShortlistEntries
  Tensor row_max_;                      // [max_rows]
  Tensor selections_, histogram_;
  Tensor best_, gathered_;  // [max_rows], [ranks, max_rows] Candidate
  Tensor tokens_;           // [max_rows]
  Tensor sums_, all_sums_, chosen_, top_, all_top_;
};

}  // namespace ll
