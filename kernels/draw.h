#pragma once
// How a token is drawn: the numbers that travel from a request to the device. What carries them (a
// request's parameters, a slot's in a plan, a row's on the device) is a Draw and more, so another
// number is added here, read where requests are read, and used by the sampler and its ops.
#include <cstdint>
#include <type_traits>

namespace ll {

// 64 bits as two words, so that a Draw has no padding.
class Seed {
 public:
  constexpr Seed(uint64_t value = 0)
      : low_(static_cast<uint32_t>(value)), high_(static_cast<uint32_t>(value >> 32)) {}
  constexpr operator uint64_t() const { return low_ | uint64_t{high_} << 32; }

 private:
  uint32_t low_, high_;
};

// The largest top_k of a draw among a shortlist, which costs little (sampling_ops.h).
constexpr int32_t kMaxShortTopK = 64;

struct Draw {
  Seed seed;
  float temperature = 0;         // 0: argmax, ties to the lowest id
  float top_p = 1;               // 1: off
  float min_p = 0;               // 0: off; relative to the largest probability
  int32_t top_k = 0;             // 0: off
  float repetition_penalty = 1;  // on tokens of prompt and output   [Keskar et al. 2019, CTRL]
  float presence_penalty = 0;    // on tokens of the output          [OpenAI API]
  float frequency_penalty = 0;   // times their number there
  int32_t only_allowed = 0;      // 1: no token but those marked in the slot's row of token_counts

  // Whether the slot's row of token_counts is kept, and counts.
  constexpr bool has_penalties() const {
    return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0 ||
           only_allowed != 0;
  }
  // Whether the token is drawn among a shortlist.
  constexpr bool has_shortlist() const {
    return temperature > 0 && top_k > 0 && top_k <= kMaxShortTopK;
  }
  bool operator==(const Draw&) const = default;
};
static_assert(std::is_trivially_copyable_v<Draw> && alignof(Draw) == sizeof(int32_t),
              "a plan has it as words");

// What comes to the host in the place of a token. None could be drawn: all logits of the row are
// -inf or NaN; the slot's last token is a valid one all the same, since the next step may be on its
// way. It was drawn behind a wrong draft. There was no draft to run (speculation_ops.h).
constexpr int32_t kUndrawnToken = -1, kRejectedToken = -2, kUndraftedToken = -3;

// What the rows of one call need; the same on every rank.
struct SamplingNeeds {
  int32_t num_edits = 0;  // of this rank's list; edits are local
  bool penalties = false;
  // Whether there are rows with a shortlist, and others.
  bool shortlists = false, others = false;
  bool top_k = false, top_p = false, min_p = false;  // of the others
  int num_logprobs = -1;  // -1: none; else the chosen token's and this many of the largest

  // Nothing but temperature: a draw over all logits as they are.
  bool is_plain() const {
    return num_edits == 0 && !penalties && !shortlists && !top_k && !top_p && !min_p &&
           num_logprobs < 0;
  }
  // Adds what one more row draws.
  SamplingNeeds& operator|=(const Draw& d) {
    bool draws = d.temperature > 0 && !d.has_shortlist();
    penalties |= d.has_penalties();
    (d.has_shortlist() ? shortlists : others) = true;
    top_k |= draws && d.top_k > 0;
    top_p |= draws && d.top_p < 1;
    min_p |= draws && d.min_p > 0;
    return *this;
  }
};

}  // namespace ll
