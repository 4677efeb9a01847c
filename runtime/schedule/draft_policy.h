#pragma once
// How many drafts pay: what they are expected to bring, by the text so far, over what a step with
// them takes, by the steps so far.
//
// What the device looks up, the host looks up as well, one token at a time and after the event:
// whether the token that followed the same few tokens last time came again. Tokens that do come in
// runs; how likely one is after 0, 1, 2, ... others is counted over all sequences. So nothing has
// to be tried to know that a text does not repeat itself.
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "runtime/schedule/draft_options.h"

namespace ll {

class DraftPolicy {
 public:
  explicit DraftPolicy(const DraftOptions& options);

  // A sequence's tokens before its first of its own.
  void learn(std::span<const int32_t> tokens);
  // The newest of a sequence's tokens was drawn. `run` counts those in a row, up to it, that the
  // tokens before them foretold.
  void saw(std::span<const int32_t> tokens, int32_t& run);
  // A step of so many decode rows and no others was done.
  void took(int32_t rows, double seconds);

  // A sequence that is to run: its run, and the drafts it has in a step that is under way; -1: none
  // is.
  struct Candidate {
    int32_t run = 0;
    int32_t drafts_in_flight = -1;
  };
  // The best number of drafts for each of them, at most `most`.
  int32_t choose(std::span<const Candidate> sequences, int32_t most) const;

  // That the next token of a sequence is the one foretold.
  double likelihood(int32_t run) const;

 private:
  static constexpr int32_t kRuns = 8;          // longer ones are taken together
  static constexpr size_t kEntries = 1 << 17;  // of the index of what follows what

  // What followed some tokens last time, in the place of their hash.
  struct Entry {
    uint32_t tag = 0;
    int32_t next = -1;
  };
  struct Count {
    double hits = 0, trials = 0;
  };
  struct RowsTime {
    int32_t num_seen = 0;
    double seconds = 0;
  };

  Entry& entry_behind(std::span<const int32_t> tokens, uint32_t& tag);
  double expected(const Candidate& sequence, int32_t drafts) const;
  double tokens_from(int32_t run, int32_t drafts) const;
  double seconds_of(int32_t rows) const;

  DraftOptions options_;
  std::vector<Entry> index_;
  std::array<Count, kRuns + 1> counts_;
  std::map<int32_t, RowsTime> times_;  // by rows
};

}  // namespace ll
