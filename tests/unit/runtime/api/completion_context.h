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

// A body, and the endpoint it is for.
struct Asked {
  Endpoint endpoint;
  std::string body;
};

inline Asked completion_of(const std::string& fields, const std::string& prompt = "\"Hi\"") {
  return {Endpoint::kCompletions,
          R"({"prompt": )" + prompt + (fields.empty() ? "" : ", " + fields) + "}"};
}

inline Asked chat_of(const std::string& fields,
                     const std::string& messages = R"([{"role": "user", "content": "Hi"}])") {
  return {Endpoint::kChatCompletions,
          R"({"messages": )" + messages + (fields.empty() ? "" : ", " + fields) + "}"};
}

inline CompletionRequest parse(const Asked& asked,
                               const CompletionContext& context = make_context(),
                               uint64_t seed = 0) {
  return parse_completion(JsonTree::parse(asked.body, "JSON"), asked.endpoint, seed, context);
}

inline std::string refusal(const Asked& asked, const CompletionContext& context = make_context()) {
  return error_of([&] { parse(asked, context); });
}

}  // namespace ll::test
