#pragma once
// What a batch writes for a request: one line of OpenAI's batch output.
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/api/completion.h"

namespace ll {

struct Choice {
  int32_t index = 0;
  std::vector<int32_t> token_ids;
  std::string text;
  FinishReason finish_reason = FinishReason::kNone;
  std::vector<TokenLogprob> logprobs;         // of token_ids, if asked for
  std::vector<TokenLogprob> prompt_logprobs;  // of prompt tokens 1, 2, ..., if asked for
};

struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
};

// {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error": null}, without a
// line end. `created` is a Unix time.
std::string completion_record(const CompletionRequest& request, const std::vector<Choice>& choices,
                              const Usage& usage, int64_t created, const Tokenizer* tokenizer);

// The record of a line that could not be run: "response" is null, "error" has code, message and
// line.
std::string error_record(int64_t line, const std::string& custom_id, const std::string& message);

}  // namespace ll
