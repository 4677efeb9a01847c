#pragma once
// OpenAI's completion requests: what the body of one asks for.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_tree.h"
#include "model/config/model_config.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "runtime/api/chat_output.h"
#include "runtime/schedule/request.h"

namespace ll {

enum class Endpoint : uint8_t { kCompletions, kChatCompletions };

// The endpoint of a path, "/v1/completions" or "/v1/chat/completions".
std::optional<Endpoint> endpoint_of(std::string_view path);

// How tokens become text, and what text ends an answer.
struct TextParams {
  std::vector<std::string> stop;
  std::vector<std::string> special_stops;  // those of stop with special tokens in them
  bool include_stop_str_in_output = false;
  bool skip_special_tokens = true;
};

struct CompletionRequest {
  Endpoint endpoint = Endpoint::kCompletions;
  std::string model;
  std::vector<std::vector<int32_t>> prompts;  // chat has one
  SamplingParams params;
  int32_t priority = 0;  // Request::priority
  // What was asked for, clipped to the room behind each prompt. Empty: params' for all.
  std::vector<int32_t> max_tokens;
  TextParams text;
  ChatMarkup markup;  // of the answers of a chat
  bool echo = false;
  std::vector<std::optional<std::string>> sent_texts;  // of prompts to echo, those sent as text
  int32_t prompt_logprobs = -1;  // of prompt tokens, as vLLM lists them; -1: no list
  bool return_token_ids = false;
  bool return_tokens_as_token_ids = false;  // "token_id:7" for a token's text among logprobs
  bool drop_output = false;                 // max_tokens 0: only the prompt is scored
  bool stream = false;                      // piece by piece
  // A stream has a last chunk with what was used, and the same so far in every chunk.
  bool include_usage = false, continuous_usage_stats = false;

  int64_t num_choices() const { return static_cast<int64_t>(prompts.size()) * params.n; }
  SamplingParams params_of(size_t prompt) const;
};

// What a model brings to requests. The pointers may be null: a model without tokenizer takes token
// ids only.
struct CompletionContext {
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat_template = nullptr;
  std::string no_chat_reason;  // why chat_template is null
  std::string model_name;
  std::vector<int32_t> eos_token_ids;
  GenerationConfig defaults;
  int32_t vocab_size = 0;
  int64_t max_input_length = 0, max_output_length = 0, max_length = 0;
  // Whether fields that nobody knows are no mistake: clients of servers send many.
  bool ignores_unknown_fields = false;
  // That a sequence alone may come to need; longer defaults are clipped to it.
  int64_t num_kv_positions = INT64_MAX;
};

// `seed` is for bodies that name none. Throws Error that says what is wrong.
CompletionRequest parse_completion(const JsonTree& body, Endpoint endpoint, uint64_t seed,
                                   const CompletionContext& context);

}  // namespace ll
