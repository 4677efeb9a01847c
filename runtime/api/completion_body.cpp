#include "runtime/api/completion_body.h"

#include <fmt/core.h>

#include <cmath>
#include <utility>

#include "base/json_tree.h"
#include "runtime/api/choice_json.h"
#include "runtime/api/logprob_json.h"

namespace ll {
namespace {

std::string completion_logprobs(const CompletionRequest& r, const Choice& c, std::string_view echo,
                                const Tokenizer* tokenizer) {
  LogprobLists lists(r, tokenizer);
  if (r.echo)
    lists.add_prompt(r, static_cast<size_t>(c.index / r.params.n), *c.prompt_logprobs, echo);
  if (!r.drop_output) lists.add_answer(r, c.logprobs, c.text);
  return lists.json();
}

// Choices are written by hand, since their log-probabilities are: member by member.
void add_member(std::string& out, std::string_view key, std::string_view json) {
  out += out.empty() ? '{' : ',';
  append_json_string(out, key);
  out.append(":").append(json);
}

void add_token_ids(std::string& out, const std::vector<int32_t>& prompt,
                   const std::vector<int32_t>& output) {
  add_member(out, "prompt_token_ids", dump(Json(prompt)));
  add_member(out, "token_ids", dump(Json(output)));
}

std::string completion_choice(const CompletionRequest& r, const Choice& c,
                              const Tokenizer* tokenizer) {
  auto prompt = static_cast<size_t>(c.index / r.params.n);
  std::string echo = echo_of(r, prompt, tokenizer), choice;
  FinishReason reason = r.drop_output ? FinishReason::kLength : c.finish_reason;
  add_member(choice, "index", std::to_string(c.index));
  add_member(choice, "text", dump(Json(r.drop_output ? echo : echo + c.text)));
  add_member(choice, "logprobs",
             r.params.logprobs >= 0 ? completion_logprobs(r, c, echo, tokenizer) : "null");
  add_member(choice, "finish_reason", json_string(name_of(reason)));
  if (r.prompt_logprobs >= 0)
    add_member(choice, "prompt_logprobs", prompt_logprobs_json(r, *c.prompt_logprobs, tokenizer));
  if (r.return_token_ids)
    add_token_ids(choice, r.prompts[prompt], r.drop_output ? std::vector<int32_t>() : c.token_ids);
  return choice += '}';
}

// The message of an answer, and whether it calls tools.
std::pair<Json, bool> message_of(const CompletionRequest& r, const Choice& c, std::string_view id) {
  Json message{{"role", "assistant"}, {"content", c.text}};
  if (!r.markup.is_any()) return {std::move(message), false};
  ChatOutput output(r.markup);
  std::vector<ChatPiece> pieces = output.push(c.text);
  for (ChatPiece& piece : output.finish()) pieces.push_back(std::move(piece));
  std::string content, reasoning;
  Json calls = Json::array();
  for (const ChatPiece& p : pieces) {
    if (p.kind == ChatPiece::Kind::kReasoning) reasoning += p.text;
    if (p.kind == ChatPiece::Kind::kContent) content += p.text;
    if (p.kind == ChatPiece::Kind::kCall) calls.push_back(call_json(p, id, c.index));
    if (p.kind == ChatPiece::Kind::kArguments) {
      Json& arguments = calls.back()["function"]["arguments"];
      arguments = arguments.get<std::string>() + p.text;
    }
  }
  message["content"] = content.empty() && !calls.empty() ? Json(nullptr) : Json(content);
  if (!reasoning.empty()) message["reasoning_content"] = reasoning;
  bool has_calls = !calls.empty();
  if (has_calls) message["tool_calls"] = std::move(calls);
  return {std::move(message), has_calls};
}

std::string chat_choice(const CompletionRequest& r, const Choice& answered, std::string_view id,
                        const Tokenizer* tokenizer) {
  Choice none{.index = answered.index, .finish_reason = FinishReason::kLength};
  const Choice& c = r.drop_output ? none : answered;
  auto [message, has_calls] = message_of(r, c, id);
  std::string choice;
  add_member(choice, "index", std::to_string(c.index));
  add_member(choice, "message", dump(message));
  add_member(choice, "logprobs",
             r.params.logprobs >= 0 ? chat_logprobs(r, c.logprobs, tokenizer) : "null");
  add_member(choice, "finish_reason", json_string(chat_reason(c.finish_reason, has_calls)));
  if (r.return_token_ids) add_token_ids(choice, r.prompts[0], c.token_ids);
  return choice += '}';
}

// Numbers of as many digits as they are good for.
double rounded(double value) { return std::round(value * 1e9) / 1e9; }

Json cost_json(const Cost& cost) {
  Json json{{"computed_tokens", cost.computed_tokens},
            {"device_seconds", rounded(cost.device_seconds)}};
  if (cost.joules > 0) json["joules"] = rounded(cost.joules);
  return json;
}

}  // namespace

std::string completion_body(const CompletionRequest& r, const std::vector<Choice>& choices,
                            const Usage& usage, std::string_view id, int64_t created,
                            const Tokenizer* tokenizer) {
  bool is_chat = r.endpoint == Endpoint::kChatCompletions;
  std::string body, list;
  for (const Choice& c : choices) {
    list += list.empty() ? '[' : ',';
    list += is_chat ? chat_choice(r, c, id, tokenizer) : completion_choice(r, c, tokenizer);
  }
  Json counts = usage_json(usage, r.drop_output);
  if (usage.cost) counts["litelang"] = cost_json(*usage.cost);
  add_member(body, "id", dump(Json(fmt::format("{}-{}", is_chat ? "chatcmpl" : "cmpl", id))));
  add_member(body, "object", json_string(is_chat ? "chat.completion" : "text_completion"));
  add_member(body, "created", std::to_string(created));
  add_member(body, "model", dump(Json(r.model)));
  add_member(body, "choices", list.empty() ? "[]" : list += ']');
  add_member(body, "usage", dump(counts));
  if (is_chat && r.prompt_logprobs >= 0)
    add_member(body, "prompt_logprobs",
               prompt_logprobs_json(r, *choices.at(0).prompt_logprobs, tokenizer));
  return body += '}';
}

}  // namespace ll
