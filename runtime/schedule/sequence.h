#pragma once
// One answer being generated: its tokens and how far it has come. Only the scheduler changes it.
//
// Planning runs one step ahead: of `length()` tokens, the last num_in_flight are being drawn and
// not known yet. Keys and values exist (or are planned) for positions [0, num_computed); a decoding
// sequence has num_computed == length() - 1. With speculation a step draws some of the tokens that
// are in flight, one at least: the numbers are the most that there can be.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/schedule/kv_ledger.h"
#include "runtime/schedule/request.h"
#include "runtime/schedule/step_events.h"
#include "runtime/schedule/step_plan.h"

namespace ll {

struct Sequence {
  enum class State : uint8_t { kWaiting, kPrefilling, kDecoding, kFinished };

  Sequence(std::shared_ptr<const Request> r, int32_t index)
      : request(std::move(r)),
        index(index),
        tokens(request->prompt),
        num_prompt(static_cast<int32_t>(tokens.size())) {}

  std::shared_ptr<const Request> request;
  int32_t index;  // among the request's n
  State state = State::kWaiting;

  std::vector<int32_t> tokens;  // prompt, then the output known so far
  int32_t num_prompt;
  int32_t num_in_flight = 0, num_steps_in_flight = 0;
  int32_t num_computed = 0;
  // Prompt positions the radix cache gave when it first ran; -1: it has not.
  int32_t num_cached = -1;
  int32_t draft_run = 0;    // see DraftPolicy::saw()
  bool has_forked = false;  // the request's other answers have started, or this is one of them

  int32_t slot = -1;
  KvHold kv;  // pages of positions [0, num_computed), and what comes next

  SequenceId id() const { return {request->id, index}; }
  const SamplingParams& params() const { return request->params; }
  int32_t length() const { return static_cast<int32_t>(tokens.size()) + num_in_flight; }
  int32_t num_output() const { return static_cast<int32_t>(tokens.size()) - num_prompt; }
  int32_t remaining() const { return params().max_tokens - (length() - num_prompt); }
  int32_t num_unprefilled() const { return static_cast<int32_t>(tokens.size()) - num_computed; }
  // No row's position reaches this: the last token is not fed back.
  int32_t end() const { return num_prompt + params().max_tokens - 1; }
  // num_computed of a decoding one: tokens in flight count for as many as there may be.
  int32_t most_computed() const { return std::min(length() - 1, end()); }
  // Whether it surely is not over.
  bool can_decode() const {
    return state == State::kDecoding && num_output() + num_steps_in_flight < params().max_tokens;
  }
  // Whether several tokens may be drawn at once: none of them changes how the next is drawn.
  bool can_speculate() const {
    const SamplingParams& p = params();
    return !p.has_penalties() && p.bad_words.empty() && p.logprobs < 0 &&
           num_output() >= p.min_tokens;
  }
  bool is_running() const { return state == State::kPrefilling || state == State::kDecoding; }
  bool wants_prompt_logprobs() const {
    return params().prompt_logprobs >= 0 && index == 0 && num_output() == 0;
  }
  // The known ones among positions [0, num_computed).
  std::span<const int32_t> computed_tokens() const {
    return std::span(tokens).first(std::min(tokens.size(), static_cast<size_t>(num_computed)));
  }

  // How this sequence's slot draws.
  SlotSampling slot_sampling() const;
  // Appends the tokens that its newest one in flight, sample number `sample` of a step, is not to
  // be: the ends of bad words whose other tokens came last.
  void list_bans(int32_t sample, std::vector<StepPlan::Ban>& bans) const;
  // Whether the newest token ends it.
  FinishReason finish_after_last_token() const;
};

}  // namespace ll
