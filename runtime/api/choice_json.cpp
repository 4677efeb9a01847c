#include "runtime/api/choice_json.h"

#include <fmt/core.h>

#include <optional>

#include "runtime/api/token_names.h"
#include "runtime/api/token_places.h"

namespace ll {
namespace {

Json bytes_of(int32_t token, const Tokenizer* tokenizer) {
  Json bytes = Json::array();
  if (tokenizer)
    for (char c : tokenizer->token_bytes(token)) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

// A token's text, with U+FFFD for parts of characters: its bytes stand beside it.
std::string text_of(int32_t token, const CompletionRequest& r, const Tokenizer* tokenizer) {
  if (!tokenizer || r.return_tokens_as_token_ids) return number_name(token);
  return tokenizer->decode(std::vector{token}, false);
}

}  // namespace

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

Json chat_logprobs(const CompletionRequest& r, std::span<const TokenLogprob> logprobs,
                   const Tokenizer* tokenizer) {
  Json content = Json::array();
  auto entry = [&](int32_t token, float logprob) {
    return Json{{"token", text_of(token, r, tokenizer)},
                {"logprob", logprob},
                {"bytes", bytes_of(token, tokenizer)}};
  };
  for (const TokenLogprob& t : logprobs) {
    Json one = entry(t.token, t.logprob), top = Json::array();
    for (auto [id, logprob] : t.top) top.push_back(entry(id, logprob));
    one["top_logprobs"] = std::move(top);
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}};
}

Json prompt_logprobs_json(const CompletionRequest& r, std::span<const TokenLogprob> scores,
                          const Tokenizer* tokenizer) {
  Json list = Json::array({nullptr});
  for (const TokenLogprob& t : scores) {
    Json entry = Json::object();
    auto add = [&](int32_t token, float logprob, const Json& rank) {
      entry[std::to_string(token)] = {
          {"logprob", logprob}, {"rank", rank}, {"decoded_token", text_of(token, r, tokenizer)}};
    };
    add(t.token, t.logprob, nullptr);
    size_t count = std::min(t.top.size(), static_cast<size_t>(r.prompt_logprobs));
    for (size_t i = 0; i < count; ++i) add(t.top[i].first, t.top[i].second, i + 1);
    list.push_back(std::move(entry));
  }
  return list;
}

void LogprobLists::add(int32_t token, const TokenLogprob* scored, int64_t place) {
  tokens_.push_back(name_of_token(token, tokenizer_));
  offsets_.push_back(place);
  logprobs_.push_back(scored ? Json(scored->logprob) : Json(nullptr));
  top_.push_back(scored ? top_of(*scored) : Json(nullptr));
}

int64_t LogprobLists::add_prompt(const CompletionRequest& r, size_t prompt,
                                 std::span<const TokenLogprob> scores, std::string_view echo,
                                 const Tokenizer* tokenizer) {
  const std::vector<int32_t>& tokens = r.prompts[prompt];
  std::optional<TokenPlaces> places;
  if (tokenizer) places.emplace(*tokenizer, echo, false);
  for (size_t i = 0; i < tokens.size(); ++i)
    add(tokens[i], i == 0 ? nullptr : &scores[i - 1], places ? places->push(tokens[i]) : 0);
  return places ? places->length() : 0;
}

Json LogprobLists::json() && {
  return {{"tokens", std::move(tokens_)},
          {"token_logprobs", std::move(logprobs_)},
          {"top_logprobs", std::move(top_)},
          {"text_offset", std::move(offsets_)}};
}

// An entry for each token, the drawn one under the name it has in tokens; another one that spells
// the same has its number for a name.
Json LogprobLists::top_of(const TokenLogprob& scored) const {
  std::string drawn = name_of_token(scored.token, tokenizer_);
  Json top = Json::object();
  for (auto [id, logprob] : std::span(scored.top).first(std::min(num_top_, scored.top.size()))) {
    std::string name = name_of_token(id, tokenizer_);
    bool is_taken = id != scored.token && (name == drawn || top.contains(name));
    top[is_taken ? number_name(id) : name] = logprob;
  }
  top[drawn] = scored.logprob;
  return top;
}

}  // namespace ll
