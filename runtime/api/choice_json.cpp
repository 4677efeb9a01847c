#include "runtime/api/choice_json.h"

#include <fmt/core.h>

namespace ll {
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    default:
      return "abort";
  }
}

const char* chat_reason(FinishReason reason, bool has_calls) {
  return has_calls && reason == FinishReason::kStop ? "tool_calls" : name_of(reason);
}

Json call_json(const ChatPiece& call, std::string_view id, int32_t choice) {
  return {{"id", fmt::format("call_{}_{}_{}", id, choice, call.call)},
          {"type", "function"},
          {"function", {{"name", call.text}, {"arguments", ""}}}};
}

Json usage_json(const Usage& usage, bool drop_output) {
  Json json = usage_json(usage.prompt_tokens, drop_output ? 0 : usage.completion_tokens);
  json["prompt_tokens_details"] = {{"cached_tokens", usage.cached_tokens}};
  if (usage.draft_tokens > 0)
    json["completion_tokens_details"] = {
        {"accepted_prediction_tokens", usage.accepted_tokens},
        {"rejected_prediction_tokens", usage.draft_tokens - usage.accepted_tokens}};
  return json;
}

Json usage_json(int64_t prompt_tokens, int64_t completion_tokens) {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"total_tokens", prompt_tokens + completion_tokens}};
}

std::string echo_of(const CompletionRequest& r, size_t prompt, const Tokenizer* tokenizer) {
  if (!r.echo || !tokenizer) return {};
  if (!r.sent_texts.empty() && r.sent_texts.at(prompt)) return *r.sent_texts[prompt];
  return tokenizer->decode(r.prompts[prompt], false);
}

}  // namespace ll
