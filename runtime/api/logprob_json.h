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
  LogprobLists(const CompletionRequest& request, const Tokenizer* tokenizer)
      : tokenizer_(request.return_tokens_as_token_ids ? nullptr : tokenizer),
        num_top_(static_cast<size_t>(std::max(request.params.logprobs, 0))) {}

  // `place`: characters in front of the token. The first prompt token has no probability.
  void add(int32_t token, const TokenLogprob* scored, int64_t place);
  // The tokens of a prompt, `scores` those of all but the first. Returns the characters of `echo`,
  // their text; 0 without a tokenizer.
  int64_t add_prompt(const CompletionRequest& request, size_t prompt,
                     std::span<const TokenLogprob> scores, std::string_view echo,
                     const Tokenizer* tokenizer);
  std::string json() const;

 private:
  void add_top(const TokenLogprob& scored);

  const Tokenizer* tokenizer_;
  size_t num_top_;  // prompt_logprobs may have asked for more of the prompt's
  std::string tokens_, logprobs_, top_, offsets_;  // the lists without their brackets
  std::vector<std::string> names_;                 // in the entry of top_ that is being written
};

}  // namespace ll
