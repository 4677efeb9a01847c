#pragma once
// Log-probabilities as JSON. Written by hand, since there is an entry for each candidate of each
// token; numbers have the digits that a float32 is known by.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/api/answer.h"
#include "runtime/api/completion.h"
#include "runtime/api/token_places.h"

namespace ll {

// logprobs of /v1/chat/completions: an entry a token.
std::string chat_logprobs(const CompletionRequest& request, std::span<const TokenLogprob> logprobs,
                          const Tokenizer* tokenizer);

// prompt_logprobs as vLLM has them: an entry a prompt token, null for the first; in it the token
// and the likeliest, by id, with their rank where it is known: of the likeliest. `scores` are of
// all but the first.
std::string prompt_logprobs_json(const CompletionRequest& request,
                                 std::span<const TokenLogprob> scores, const Tokenizer* tokenizer);

// logprobs of /v1/completions: parallel lists.
class LogprobLists {
 public:
  // `place`: characters in front of what is added first. The tokenizer may be null.
  LogprobLists(const CompletionRequest& request, const Tokenizer* tokenizer, int64_t place = 0)
      : tokenizer_(tokenizer),
        has_texts_(tokenizer && !request.return_tokens_as_token_ids),
        num_top_(static_cast<size_t>(std::max(request.params.logprobs, 0))),
        place_(place) {}

  // The tokens of an answer's text, or of a piece of it.
  void add_answer(const CompletionRequest& request, std::span<const TokenLogprob> scores,
                  std::string_view text);
  // The tokens of a prompt, whose first has no probability: `scores` are of all others. `echo` is
  // their text.
  void add_prompt(const CompletionRequest& request, size_t prompt,
                  std::span<const TokenLogprob> scores, std::string_view echo);
  // The characters of all texts so far, and in front of the first; none without a tokenizer.
  int64_t place() const { return place_; }
  std::string json() const;

 private:
  void add(const PlacedToken& token, const TokenLogprob* scored);
  PlacedTokens placed(std::string_view text, bool skips_special_tokens,
                      std::span<const int32_t> ids) const;
  std::string name_of(const PlacedToken& token) const;
  void add_top(const TokenLogprob& scored, const std::string& drawn);

  const Tokenizer* tokenizer_;
  bool has_texts_;  // tokens are named by them
  size_t num_top_;  // prompt_logprobs may have asked for more of the prompt's
  int64_t place_;
  std::string tokens_, logprobs_, top_, offsets_;  // the lists without their brackets
  std::vector<std::string> names_;                 // in the entry of top_ that is being written
};

}  // namespace ll
