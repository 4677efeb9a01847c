// /tokenize, /detokenize and /tokenizer_info, as vLLM has them
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json_fields.h"
#include "runtime/server/body_reader.h"
#include "runtime/server/handlers.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;
using Kind = JsonTree::Kind;

const Tokenizer& tokenizer_of(const Service& s) {
  check(s.context.tokenizer != nullptr, "this model has no tokenizer");
  return *s.context.tokenizer;
}

HttpResponse response(const Json& json) {
  return {.body = json.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

Json tokenize(const Service& s, const std::string& json) {
  JsonTree body = JsonTree::parse(json, "body");
  check(body.is(Kind::kObject), "body: must be an object");
  JsonFields fields(body);
  const Tokenizer& tokenizer = tokenizer_of(s);
  std::vector<int32_t> ids;
  if (fields.has("messages")) {
    ids = parse_completion(body, Endpoint::kChatCompletions, 0, s.context).prompts.at(0);
  } else {
    const JsonTree* prompt = fields.find("prompt");
    check(prompt && prompt->is(Kind::kString), "prompt: must be a string");
    ids = tokenizer.encode(prompt->text, fields.flag("add_special_tokens", true));
  }
  Json answer{{"count", ids.size()}, {"max_model_len", s.context.max_length}, {"tokens", ids}};
  if (fields.flag("return_token_strs", false))
    for (int32_t id : ids) answer["token_strs"].push_back(std::string(tokenizer.token_bytes(id)));
  return answer;
}

Json detokenize(const Service& s, const std::string& json) {
  JsonTree body = JsonTree::parse(json, "body");
  check(body.is(Kind::kObject), "body: must be an object");
  const JsonTree* tokens = body.find("tokens");
  check(tokens && tokens->is(Kind::kArray), "tokens: must be a list of token ids");
  std::vector<int32_t> ids;
  for (const JsonTree::Member& m : tokens->members) {
    auto id = whole_number_of(m.value);
    check(id && *id >= 0 && *id < s.context.vocab_size,
          "tokens: {} is no token id of a vocabulary of {}", shown(m.value), s.context.vocab_size);
    ids.push_back(static_cast<int32_t>(*id));
  }
  return {{"prompt", tokenizer_of(s).decode(ids, false)}};
}

void handle(Service& s, const HttpRequest& q, const HttpExchange& exchange,
            Json (*answer)(const Service&, const std::string&)) {
  auto take = [&s, exchange, answer](const std::string& body) {
    return [exchange, whole = response(answer(s, body))] { exchange.respond(whole); };
  };
  read_body(s, q, exchange, take);
}

}  // namespace

void handle_tokenize(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  handle(s, q, exchange, tokenize);
}

void handle_detokenize(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  handle(s, q, exchange, detokenize);
}

// The tokenizer's configuration, and the template that stands, wherever it comes from.
void handle_tokenizer_info(Service& s, const HttpRequest&, const HttpExchange& exchange) {
  tokenizer_of(s);
  const std::string& config = s.texts.tokenizer_config_json;
  Json info = config.empty() ? Json::object() : Json::parse(config);
  if (!s.texts.chat_template.empty()) info["chat_template"] = s.texts.chat_template;
  info["vocab_size"] = s.context.vocab_size;
  info["max_model_len"] = s.context.max_length;
  exchange.respond(response(info));
}

}  // namespace ll
