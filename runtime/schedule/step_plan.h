#pragma once
// One step of all sequences as rank 0 planned it: deltas, not state, so that every rank can follow.
// It travels as one flat buffer of int32 and holds no pointers. Decode rows carry no token: every
// rank has the previous step's tokens on its own device.
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/draw.h"
#include "kernels/pages.h"

namespace ll {

// How a slot's tokens are drawn from here on.
struct SlotSampling : Draw {
  int32_t num_logprobs = -1;  // -1: none; else the chosen token's and this many of the largest
  // Before this position the tokens of `banned_before` cannot be drawn (min_tokens).
  int32_t min_position = 0;
  std::vector<int32_t> banned_before;
  std::vector<std::pair<int32_t, float>> logit_bias;  // token, bias
};

struct StepPlan {
  enum class Kind : int32_t { kStep, kIdle, kStop };

  // A sequence starts in a slot (again, after preemption).
  struct NewSlot {
    int32_t slot = 0;
    SlotSampling sampling;
    // With speculation: no row's position reaches this. 0: without.
    int32_t end = 0;
    // Where sampling.has_penalties(), the tokens the counts start from; allowed with only_allowed.
    // With speculation, the sequence's own.
    std::vector<int32_t> allowed, prompt, output;
  };
  struct DecodeRow {
    int32_t slot = 0;
    int32_t position = 0;  // of the row's token; with speculation, at most
  };
  // The rows of one prompt chunk, and what is wanted of them.
  struct PromptChunk {
    int32_t slot = 0;
    int32_t first_position = 0;
    // Per row: logprob of the next prompt token and this many of the largest; -1: none.
    int32_t num_prompt_logprobs = -1;
    std::vector<int32_t> tokens;
    int32_t next_token = -1;  // the prompt token after the chunk; -1 when the prompt ends with it

    // The first rows, whose next prompt tokens are scored; none unless they are asked for.
    size_t num_scored() const {
      return num_prompt_logprobs < 0 ? 0 : tokens.size() - (next_token < 0 ? 1 : 0);
    }
    int32_t target(size_t row) const {
      return row + 1 < tokens.size() ? tokens[row + 1] : next_token;
    }
  };
  // A token is drawn for `slot` from row `row` of the step; several slots may share it (n > 1).
  struct Sample {
    int32_t row = 0;
    int32_t slot = 0;
    int32_t position = 0;  // of the drawn token; with speculation, at most
  };

  // Sample number `sample` is not to be `token` where its slot's last token is `after`, which may
  // still be in flight; -1: whatever it is.
  struct Ban {
    int32_t sample = 0;
    int32_t token = 0;
    int32_t after = -1;

    bool operator==(const Ban&) const = default;
  };

  int32_t id = 0;
  Kind kind = Kind::kStep;
  bool gathered = false;  // run in gathered mode, on a grid with z > 1
  // With speculation a sequence has so many rows behind that of its last token, for drafts that the
  // ranks find themselves; decode and the first samples have an entry for each row.
  int32_t num_drafts = 0;
  std::vector<DecodeRow> decode;  // rows [0, decode.size())
  std::vector<PromptChunk> chunks;
  std::vector<Sample> samples;
  std::vector<Ban> bans;  // in the order of the samples
  std::vector<NewSlot> new_slots;
  std::vector<PageDelta> page_deltas;
  std::vector<PageCopy> page_copies;       // all are read before any page is written in this step
  std::vector<PrefixGroup> prefix_groups;  // of decode rows; where reading prefixes once pays

  int32_t num_tokens() const;
  bool is_decode_only() const { return chunks.empty(); }
  size_t rows_each() const { return static_cast<size_t>(num_drafts) + 1; }
  // Whether a sample is the only one of its sequence, or the first.
  bool is_first(size_t sample) const {
    return sample >= decode.size() || sample % rows_each() == 0;
  }

  // The flat form ends with a checksum; decode() throws Error when it does not fit.
  std::vector<int32_t> encode() const;
  static StepPlan decode_from(std::span<const int32_t> flat);
};

}  // namespace ll
