#pragma once
// What bodies and chunks of answers have in common. For this room's sources alone: the types of
// nlohmann's JSON show.
#include <nlohmann/json.hpp>
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
// With its details; `drop_output`: there are no completion tokens.
Json usage_json(const Usage& usage, bool drop_output);

// What echo puts in front: the prompt as it was sent, or all of its tokens' text.
std::string echo_of(const CompletionRequest& request, size_t prompt, const Tokenizer* tokenizer);

}  // namespace ll
