#include "runtime/api/completion_body.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

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

std::string text_of(int32_t token, const Tokenizer* tokenizer) {
  return tokenizer ? tokenizer->decode(std::vector{token}, false)
                   : fmt::format("token_id:{}", token);
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
  explicit LogprobLists(const Tokenizer* tokenizer) : tokenizer_(tokenizer) {}

  void add(int32_t token, const TokenLogprob* scored) {
    std::string text = text_of(token, tokenizer_);
    tokens_.push_back(text);
    offsets_.push_back(offset_);
    offset_ += std::count_if(text.begin(), text.end(),
                             [](char c) { return (c & 0xc0) != 0x80; });  // characters
    if (!scored) {  // the first prompt token has no probability
      logprobs_.push_back(nullptr);
      top_.push_back(nullptr);
      return;
    }
    logprobs_.push_back(scored->logprob);
    Json top = Json::object();
    for (auto [id, logprob] : scored->top) top[text_of(id, tokenizer_)] = logprob;
    top[text] = scored->logprob;
    top_.push_back(std::move(top));
  }
  Json json() && {
    return {{"tokens", std::move(tokens_)},
            {"token_logprobs", std::move(logprobs_)},
            {"top_logprobs", std::move(top_)},
            {"text_offset", std::move(offsets_)}};
  }

 private:
  const Tokenizer* tokenizer_;
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(),
       offsets_ = Json::array();
  int64_t offset_ = 0;
};

Json chat_logprobs(const Choice& c, const Tokenizer* tokenizer) {
  Json content = Json::array();
  auto entry = [&](int32_t token, float logprob) {
    return Json{{"token", text_of(token, tokenizer)},
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

Json completion_choice(const CompletionRequest& r, const Choice& c, const Tokenizer* tokenizer) {
  const auto& prompt = r.prompts[static_cast<size_t>(c.index / r.params.n)];
  std::string text = r.drop_output ? "" : c.text;
  if (r.echo && tokenizer) text.insert(0, tokenizer->decode(prompt, r.text.skip_special_tokens));
  Json choice{{"index", c.index},
              {"text", std::move(text)},
              {"logprobs", nullptr},
              {"finish_reason", name_of(r.drop_output ? FinishReason::kLength : c.finish_reason)}};
  if (r.params.logprobs >= 0) {
    LogprobLists lists(tokenizer);
    if (r.echo)
      for (size_t i = 0; i < prompt.size(); ++i)
        lists.add(prompt[i], i == 0 ? nullptr : &c.prompt_logprobs.at(i - 1));
    if (!r.drop_output)
      for (const TokenLogprob& t : c.logprobs) lists.add(t.token, &t);
    choice["logprobs"] = std::move(lists).json();
  }
  if (r.return_token_ids) {
    choice["prompt_token_ids"] = prompt;
    choice["token_ids"] = r.drop_output ? std::vector<int32_t>() : c.token_ids;
  }
  return choice;
}

Json chat_choice(const CompletionRequest& r, const Choice& answered, const Tokenizer* tokenizer) {
  Choice none{.index = answered.index, .finish_reason = FinishReason::kLength};
  const Choice& c = r.drop_output ? none : answered;
  Json choice{{"index", c.index},
              {"message", {{"role", "assistant"}, {"content", c.text}}},
              {"logprobs", r.params.logprobs >= 0 ? chat_logprobs(c, tokenizer) : Json(nullptr)},
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
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ll
