#pragma once
// What bodies and chunks of answers have in common. For this room's sources alone: the types of
// nlohmann's JSON show.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "runtime/api/answer.h"
#include "runtime/api/completion.h"

namespace ll {

using Json = nlohmann::ordered_json;

// In one line; what is not UTF-8 becomes U+FFFD.
std::string dump(const Json& json);

// OpenAI's names: "stop", "length"; "abort" for what was neither.
const char* name_of(FinishReason reason);

// The same of a chat: one that ends by itself and calls tools ends for them.
const char* chat_reason(FinishReason reason, bool has_calls);

// The beginning of a call, whose arguments are empty yet. `id` is the answer's.
Json call_json(const ChatPiece& call, std::string_view id, int32_t choice);

Json usage_json(int64_t prompt_tokens, int64_t completion_tokens);

// What echo puts in front: the prompt as it was sent, or all of its tokens' text.
std::string echo_of(const CompletionRequest& request, size_t prompt, const Tokenizer* tokenizer);

// logprobs of /v1/chat/completions: an entry a token.
Json chat_logprobs(const CompletionRequest& request, std::span<const TokenLogprob> logprobs,
                   const Tokenizer* tokenizer);

// prompt_logprobs as vLLM has them: an entry a prompt token, null for the first; in it the token
// and the likeliest, by id, with their rank where it is known: of the likeliest. `scores` are of
// all but the first.
Json prompt_logprobs_json(const CompletionRequest& request, std::span<const TokenLogprob> scores,
                          const Tokenizer* tokenizer);

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
  bool is_empty() const { return tokens_.empty(); }
  Json json() &&;

 private:
  Json top_of(const TokenLogprob& scored) const;

  const Tokenizer* tokenizer_;
  size_t num_top_;  // prompt_logprobs may have asked for more of the prompt's
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(),
       offsets_ = Json::array();
};

}  // namespace ll
