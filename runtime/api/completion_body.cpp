#include "runtime/api/completion_body.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "runtime/api/token_names.h"
#include "runtime/api/token_places.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

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

Json bytes_of(int32_t token, const Tokenizer* tokenizer) {
  Json bytes = Json::array();
  if (tokenizer)
    for (char c : tokenizer->token_bytes(token)) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

// /v1/completions: parallel lists.
class LogprobLists {
 public:
  LogprobLists(const CompletionRequest& request, const Tokenizer* tokenizer)
      : tokenizer_(request.return_tokens_as_token_ids ? nullptr : tokenizer),
        num_top_(static_cast<size_t>(request.params.logprobs)) {}

  // `place`: characters in front of the token.
  void add(int32_t token, const TokenLogprob* scored, int64_t place) {
    tokens_.push_back(name_of_token(token, tokenizer_));
    offsets_.push_back(place);
    // The first prompt token has no probability.
    logprobs_.push_back(scored ? Json(scored->logprob) : Json(nullptr));
    top_.push_back(scored ? top_of(*scored) : Json(nullptr));
  }
  Json json() && {
    return {{"tokens", std::move(tokens_)},
            {"token_logprobs", std::move(logprobs_)},
            {"top_logprobs", std::move(top_)},
            {"text_offset", std::move(offsets_)}};
  }

 private:
  // An entry for each token, the drawn one under the name it has in tokens; another one that
  // spells the same has its number for a name.
  Json top_of(const TokenLogprob& scored) const {
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

  const Tokenizer* tokenizer_;
  size_t num_top_;  // prompt_logprobs may have asked for more of the prompt's
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(),
       offsets_ = Json::array();
};

// A token's text, with U+FFFD for parts of characters: its bytes stand beside it.
std::string text_of(int32_t token, const CompletionRequest& r, const Tokenizer* tokenizer) {
  if (!tokenizer || r.return_tokens_as_token_ids) return number_name(token);
  return tokenizer->decode(std::vector{token}, false);
}

// As vLLM has it: an entry a prompt token, null for the first; in it the token and the likeliest,
// by id, with their rank where it is known (of the likeliest, and of the token if it is one).
Json prompt_logprobs(const CompletionRequest& r, const Choice& c, const Tokenizer* tokenizer) {
  Json list = Json::array({nullptr});
  for (const TokenLogprob& t : c.prompt_logprobs) {
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

Json chat_logprobs(const CompletionRequest& r, const Choice& c, const Tokenizer* tokenizer) {
  Json content = Json::array();
  auto entry = [&](int32_t token, float logprob) {
    return Json{{"token", text_of(token, r, tokenizer)},
                {"logprob", logprob},
                {"bytes", bytes_of(token, tokenizer)}};
  };
  for (const TokenLogprob& t : c.logprobs) {
    Json one = entry(t.token, t.logprob), top = Json::array();
    for (auto [id, logprob] : t.top) top.push_back(entry(id, logprob));
    one["top_logprobs"] = std::move(top);
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}};
}

// What echo puts in front: the prompt as it was sent, or all of its tokens' text.
std::string echo_of(const CompletionRequest& r, size_t prompt, const Tokenizer* tokenizer) {
  if (!r.echo || !tokenizer) return {};
  if (!r.sent_texts.empty() && r.sent_texts.at(prompt)) return *r.sent_texts[prompt];
  return tokenizer->decode(r.prompts[prompt], false);
}

Json completion_logprobs(const CompletionRequest& r, const Choice& c, std::string_view echo,
                         const Tokenizer* tokenizer) {
  LogprobLists lists(r, tokenizer);
  int64_t front = 0;
  if (r.echo) {
    const auto& prompt = r.prompts[static_cast<size_t>(c.index / r.params.n)];
    std::optional<TokenPlaces> places;
    if (tokenizer) places.emplace(*tokenizer, echo, false);
    for (size_t i = 0; i < prompt.size(); ++i)
      lists.add(prompt[i], i == 0 ? nullptr : &c.prompt_logprobs.at(i - 1),
                places ? places->push(prompt[i]) : 0);
    if (places) front = places->length();
  }
  if (r.drop_output) return std::move(lists).json();
  std::optional<TokenPlaces> places;
  if (tokenizer) places.emplace(*tokenizer, c.text, r.text.skip_special_tokens);
  for (const TokenLogprob& t : c.logprobs)
    lists.add(t.token, &t, places ? front + places->push(t.token) : 0);
  return std::move(lists).json();
}

Json completion_choice(const CompletionRequest& r, const Choice& c, const Tokenizer* tokenizer) {
  auto prompt = static_cast<size_t>(c.index / r.params.n);
  std::string echo = echo_of(r, prompt, tokenizer);
  Json choice{{"index", c.index},
              {"text", r.drop_output ? echo : echo + c.text},
              {"logprobs", nullptr},
              {"finish_reason", name_of(r.drop_output ? FinishReason::kLength : c.finish_reason)}};
  if (r.params.logprobs >= 0) choice["logprobs"] = completion_logprobs(r, c, echo, tokenizer);
  if (r.prompt_logprobs >= 0) choice["prompt_logprobs"] = prompt_logprobs(r, c, tokenizer);
  if (r.return_token_ids) {
    choice["prompt_token_ids"] = r.prompts[prompt];
    choice["token_ids"] = r.drop_output ? std::vector<int32_t>() : c.token_ids;
  }
  return choice;
}

Json chat_choice(const CompletionRequest& r, const Choice& answered, const Tokenizer* tokenizer) {
  Choice none{.index = answered.index, .finish_reason = FinishReason::kLength};
  const Choice& c = r.drop_output ? none : answered;
  Json choice{{"index", c.index},
              {"message", {{"role", "assistant"}, {"content", c.text}}},
              {"logprobs", r.params.logprobs >= 0 ? chat_logprobs(r, c, tokenizer) : Json(nullptr)},
              {"finish_reason", name_of(c.finish_reason)}};
  if (r.return_token_ids) {
    choice["prompt_token_ids"] = r.prompts[0];
    choice["token_ids"] = c.token_ids;
  }
  return choice;
}

}  // namespace

std::string completion_body(const CompletionRequest& r, const std::vector<Choice>& choices,
                            const Usage& usage, std::string_view id, int64_t created,
                            const Tokenizer* tokenizer) {
  bool is_chat = r.endpoint == Endpoint::kChatCompletions;
  Json list = Json::array();
  for (const Choice& c : choices)
    list.push_back(is_chat ? chat_choice(r, c, tokenizer) : completion_choice(r, c, tokenizer));
  int64_t completion = r.drop_output ? 0 : usage.completion_tokens;
  Json body{{"id", fmt::format("{}-{}", is_chat ? "chatcmpl" : "cmpl", id)},
            {"object", is_chat ? "chat.completion" : "text_completion"},
            {"created", created},
            {"model", r.model},
            {"choices", std::move(list)},
            {"usage",
             {{"prompt_tokens", usage.prompt_tokens},
              {"completion_tokens", completion},
              {"total_tokens", usage.prompt_tokens + completion},
              {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}}}};
  if (is_chat && r.prompt_logprobs >= 0)
    body["prompt_logprobs"] = prompt_logprobs(r, choices.at(0), tokenizer);
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ll
