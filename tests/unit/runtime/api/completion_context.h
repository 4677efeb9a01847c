#pragma once
// Requests as the small test model takes them.
#include <string>

#include "runtime/api/completion.h"
#include "tests/unit/model/text/tokenizer_data.h"

namespace ll::test {

inline CompletionContext make_context() {
  static const ChatTemplate chat = ChatTemplate::from_config(
      read_data("models/tiny-qwen2-docs/tokenizer_config.json"), "tokenizer_config.json");
  CompletionContext c;
  c.tokenizer = &tiny_docs();
  c.chat_template = &chat;
  c.model_name = "tiny-qwen2-docs";
  c.eos_token_ids = {8000};
  c.vocab_size = 8192;
  c.max_input_length = c.max_output_length = c.max_length = 4096;
  return c;
}

// A line that asks /v1/completions with these fields besides.
inline std::string completion_line(const std::string& fields,
                                   const std::string& prompt = "\"Hi\"") {
  return R"({"custom_id": "c1", "method": "POST", "url": "/v1/completions", "body": {"prompt": )" +
         prompt + (fields.empty() ? "" : ", " + fields) + "}}";
}

inline std::string chat_line(
    const std::string& fields,
    const std::string& messages = R"([{"role": "user", "content": "Hi"}])") {
  return R"({"custom_id": "c1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": )" +
         messages + (fields.empty() ? "" : ", " + fields) + "}}";
}

inline CompletionRequest parse_line(const std::string& line,
                                    const CompletionContext& context = make_context()) {
  std::string custom_id;
  return parse_batch_line(line, 3, context, custom_id);
}

inline std::string refusal(const std::string& line,
                           const CompletionContext& context = make_context()) {
  return error_of([&] { parse_line(line, context); });
}

}  // namespace ll::test
