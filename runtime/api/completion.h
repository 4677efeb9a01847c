#pragma once
// OpenAI's completion requests, as in a batch file's lines: what is asked, and what is answered.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/config/model_config.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "runtime/schedule/request.h"
#include "runtime/schedule/step_result.h"

namespace ll {

enum class Endpoint : uint8_t { kCompletions, kChatCompletions };

struct CompletionRequest {
  int64_t line = 0;
  std::string custom_id;
  Endpoint endpoint = Endpoint::kCompletions;
  std::string model;
  std::vector<std::vector<int32_t>> prompts;  // chat has one
  SamplingParams params;
  bool echo = false;
  bool return_token_ids = false;
  bool drop_output = false;  // max_tokens 0: only the prompt is scored

  int64_t num_choices() const { return static_cast<int64_t>(prompts.size()) * params.n; }
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
  uint64_t seed = 0;
};

// One line of a batch file: {"custom_id", "method", "url", "body"}. Throws Error that says what is
// wrong with it; `custom_id` is set as soon as it is known.
CompletionRequest parse_batch_line(std::string_view json, int64_t line,
                                   const CompletionContext& context, std::string& custom_id);

}  // namespace ll
