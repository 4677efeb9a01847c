#include "runtime/api/completion.h"

#include <algorithm>

#include "base/check.h"
#include "base/json_fields.h"
#include "base/printable.h"
#include "runtime/api/token_limits.h"

namespace ll {
namespace {

constexpr int64_t kMaxN = 1024, kMaxChoices = 16384;
constexpr size_t kMaxStops = 64;

using Kind = JsonTree::Kind;

std::vector<int32_t> encode(const std::string& text, const CompletionContext& context,
                            bool add_special_tokens) {
  check(context.tokenizer != nullptr,
        "prompt: this model has no tokenizer; give a list of token ids");
  return context.tokenizer->encode(text, add_special_tokens);
}

std::vector<int32_t> token_list(const JsonTree& list, const CompletionContext& context) {
  std::vector<int32_t> ids;
  for (const auto& [key, id] : list.members) ids.push_back(token_id(id, "prompt", context));
  return ids;
}

// A string, a list of strings, a list of ids, or a list of such lists.
std::vector<std::vector<int32_t>> read_prompts(const JsonTree& prompt,
                                               const CompletionContext& context, bool add_special) {
  if (prompt.is(Kind::kString)) return {encode(prompt.text, context, add_special)};
  check(prompt.is(Kind::kArray) && !prompt.members.empty(),
        "prompt: must be a string or a list of token ids");
  if (prompt.members[0].value.is(Kind::kNumber)) return {token_list(prompt, context)};
  std::vector<std::vector<int32_t>> prompts;
  for (const auto& [key, one] : prompt.members) {
    check(one.is(Kind::kString) || one.is(Kind::kArray),
          "prompt: must be strings, or lists of token ids");
    prompts.push_back(one.is(Kind::kString) ? encode(one.text, context, add_special)
                                            : token_list(one, context));
  }
  return prompts;
}

std::vector<std::optional<std::string>> sent_texts(const JsonTree& prompt) {
  auto text_of = [](const JsonTree& one) {
    return one.is(Kind::kString) ? std::optional(one.text) : std::nullopt;
  };
  if (prompt.is(Kind::kString) || prompt.members[0].value.is(Kind::kNumber))
    return {text_of(prompt)};
  std::vector<std::optional<std::string>> texts;
  for (const auto& [key, one] : prompt.members) texts.push_back(text_of(one));
  return texts;
}

// Leaves each prompt its last tokens alone, as many as the body says; -1: as many as leave room for
// an answer. Returns which prompts were cut.
std::vector<bool> truncate_prompts(const JsonFields& body, const CompletionContext& context,
                                   std::vector<std::vector<int32_t>>& prompts) {
  std::vector<bool> is_cut(prompts.size());
  int64_t most = std::min(context.max_input_length, context.max_length - 1),
          kept = body.integer("truncate_prompt_tokens", -1, context.max_length, 0);
  bool is_asked = body.has("truncate_prompt_tokens");
  check(!is_asked || kept != 0, "truncate_prompt_tokens: must be -1 or at least 1");
  if (!is_asked) return is_cut;
  auto limit = static_cast<size_t>(kept < 0 ? most : kept);
  for (size_t i = 0; i < prompts.size(); ++i) {
    auto& prompt = prompts[i];
    is_cut[i] = prompt.size() > limit;
    if (is_cut[i]) prompt.erase(prompt.begin(), prompt.end() - static_cast<int64_t>(limit));
  }
  return is_cut;
}

bool has_text(const JsonTree& object, const char* key) {
  const JsonTree* value = object.find(key);
  return value && value->is(Kind::kString);
}

// Whether the model sees the tools of a body. A call cannot be forced, so who asks for one is told.
bool offers_tools(const JsonFields& body) {
  for (const char* name : {"tool_choice", "function_call"}) {
    const JsonTree* choice = body.find(name);
    if (!choice) continue;
    bool is_kept = choice->is(Kind::kString) && (choice->text == "auto" || choice->text == "none");
    check(is_kept, "{}: {} is not supported; use auto or none", name, shown(*choice));
    if (choice->text == "none") return false;
  }
  return true;
}

// What answers are looked through for: what the template shows that the model writes.
ChatMarkup markup_of(const ChatRequest& chat, const ChatTemplate& chat_template,
                     std::string_view prompt) {
  bool has_reasoning =
      chat_template.mentions("</think>") || chat_template.mentions("reasoning_content");
  size_t end = prompt.find_last_not_of(" \t\r\n");
  return {.has_reasoning = has_reasoning,
          .begins_in_reasoning = has_reasoning && end != std::string_view::npos &&
                                 prompt.substr(0, end + 1).ends_with("<think>"),
          .has_calls =
              chat.tools && !chat.tools->members.empty() && chat_template.mentions("<tool_call>")};
}

std::vector<int32_t> read_chat(const JsonFields& body, const CompletionContext& context,
                               ChatMarkup& markup) {
  check(context.chat_template != nullptr, "{}", context.no_chat_reason);
  ChatRequest chat = read_chat_request(body);
  if (!offers_tools(body)) chat.tools = nullptr;
  for (const auto& [key, message] : chat.messages.members) {
    const std::string& role = message.find("role")->text;
    bool is_known = role == "system" || role == "developer" || role == "user" ||
                    role == "assistant" || role == "tool";
    check(is_known, "messages: unknown role {}; use system, user, assistant or tool",
          printable(role, 40));
  }
  check(!chat.tools || chat.tools->members.empty() || context.chat_template->has_tools(),
        "tools: this model's chat template has no place for tools");
  std::string prompt = context.chat_template->render(chat);
  markup = markup_of(chat, *context.chat_template, prompt);
  // Templates write the special tokens themselves.
  return encode(prompt, context, body.flag("add_special_tokens", false));
}

bool has_special_token(const std::string& text, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids = tokenizer.encode(text);
  return std::any_of(ids.begin(), ids.end(), [&](int32_t id) { return tokenizer.is_special(id); });
}

void read_stops(const JsonFields& body, const CompletionContext& context, CompletionRequest& r) {
  std::vector<std::string>& stops = r.text.stop;
  auto add = [&](const JsonTree& s) {
    check(s.is(Kind::kString) && !s.text.empty(),
          "stop: must be a non-empty string, or a list of them");
    stops.push_back(s.text);
  };
  if (const JsonTree* stop = body.find("stop")) {
    if (stop->is(Kind::kArray))
      for (const auto& [key, s] : stop->members) add(s);
    else
      add(*stop);
    check(stops.size() <= kMaxStops, "stop: {} strings, at most {} are taken", stops.size(),
          kMaxStops);
    check(stops.empty() || context.tokenizer != nullptr,
          "stop: this model has no tokenizer; use stop_token_ids");
    for (const std::string& s : stops)
      if (has_special_token(s, *context.tokenizer)) r.text.special_stops.push_back(s);
  }
  if (const JsonTree* ids = body.find("stop_token_ids")) {
    check(ids->is(Kind::kArray) && ids->members.size() <= kMaxStops,
          "stop_token_ids: must be a list of at most {} token ids", kMaxStops);
    for (const auto& [key, id] : ids->members)
      r.params.stop_token_ids.push_back(token_id(id, "stop_token_ids", context));
  }
}

void read_logprobs(const JsonFields& body, CompletionRequest& r) {
  if (r.endpoint == Endpoint::kChatCompletions) {
    auto top = static_cast<int32_t>(body.integer("top_logprobs", 0, 20, 0));
    bool wanted = body.flag("logprobs", false);
    check(wanted || top == 0, "top_logprobs: needs logprobs: true");
    r.params.logprobs = wanted ? top : -1;
  } else {
    r.params.logprobs = static_cast<int32_t>(body.integer("logprobs", 0, 20, -1));
    r.echo = body.flag("echo", false);
    if (r.echo) r.params.prompt_logprobs = r.params.logprobs;
  }
  r.prompt_logprobs = static_cast<int32_t>(body.integer("prompt_logprobs", 0, 20, -1));
  r.params.prompt_logprobs = std::max(r.params.prompt_logprobs, r.prompt_logprobs);
}

void read_sampling(const JsonFields& body, const CompletionContext& context, uint64_t seed,
                   CompletionRequest& r) {
  SamplingParams& p = r.params;
  const GenerationConfig& d = context.defaults;
  auto number = [&](const char* name, double low, double high, double otherwise) {
    return static_cast<float>(body.number(name, low, high, otherwise));
  };
  p.n = static_cast<int32_t>(body.integer("n", 1, kMaxN, 1));
  check(body.integer("best_of", 1, kMaxN, p.n) == p.n, "best_of: only the value of n is supported");
  check(r.num_choices() <= kMaxChoices,
        "n: {} prompts times n = {} are {} choices, at most {} are taken in a request",
        r.prompts.size(), p.n, r.num_choices(), kMaxChoices);
  p.temperature = number("temperature", 0, 100, d.temperature);
  p.top_p = number("top_p", 0, 1, d.top_p);
  p.top_k =
      static_cast<int32_t>(std::max<int64_t>(0, body.integer("top_k", -1, INT32_MAX, d.top_k)));
  if (p.top_p == 0) p.top_p = 1, p.top_k = 1;  // no share at all: the likeliest alone
  p.min_p = number("min_p", 0, 1, d.min_p);
  p.repetition_penalty = number("repetition_penalty", 0.01, 100, d.repetition_penalty);
  p.presence_penalty = number("presence_penalty", -2, 2, 0);
  p.frequency_penalty = number("frequency_penalty", -2, 2, 0);
  p.seed = body.find("seed") ? static_cast<uint64_t>(body.integer("seed", INT64_MIN, INT64_MAX, 0))
                             : seed;
  p.ignore_eos = body.flag("ignore_eos", false);
  r.text.skip_special_tokens = body.flag("skip_special_tokens", true);
  r.text.include_stop_str_in_output = body.flag("include_stop_str_in_output", false);
  r.return_token_ids = body.flag("return_token_ids", false) || !context.tokenizer;
  r.return_tokens_as_token_ids = body.flag("return_tokens_as_token_ids", false);
  read_stops(body, context, r);
  read_token_limits(body, context, p);
  read_logprobs(body, r);
}

void check_length(int64_t length, bool needs_room, const CompletionContext& context) {
  check(length > 0, "prompt: has no tokens");
  check(
      length <= context.max_input_length,
      "prompt: {} tokens, at most {} fit (scheduler.max_input_length and the model's {} positions)",
      length, context.max_input_length, context.max_length);
  check(length < context.max_length || !needs_room,
        "prompt: {} tokens leave no room for an answer in the model's {} positions", length,
        context.max_length);
}

// What a body asks for counts against the model's positions: too much is clipped. A default that
// nobody asked for is clipped to the KV cache as well, instead of being refused for its size.
void read_lengths(const JsonFields& body, const CompletionContext& context, CompletionRequest& r) {
  bool is_chat = r.endpoint == Endpoint::kChatCompletions;
  bool is_asked = body.has("max_completion_tokens") || body.has("max_tokens");
  int64_t min_tokens = body.integer("min_tokens", 0, INT32_MAX, 0);
  int64_t wanted = context.defaults.max_new_tokens;
  if (wanted == 0) wanted = is_chat ? INT32_MAX : 16;
  wanted = body.integer("max_tokens", 0, INT32_MAX, wanted);
  wanted = body.integer("max_completion_tokens", 0, INT32_MAX, wanted);
  if (!is_asked) wanted = std::max(wanted, min_tokens);
  check(min_tokens <= wanted, "min_tokens: {} exceeds max_tokens", min_tokens);
  r.params.min_tokens = static_cast<int32_t>(min_tokens);
  r.drop_output = wanted == 0;
  for (const auto& prompt : r.prompts) {
    auto length = static_cast<int64_t>(prompt.size());
    check_length(length, !r.drop_output, context);
    int64_t room = std::min(context.max_output_length, context.max_length - length);
    // The last token of an answer needs no position.
    if (!is_asked) room = std::min(room, context.num_kv_positions - length + 1);
    r.max_tokens.push_back(
        static_cast<int32_t>(std::clamp<int64_t>(wanted, 1, std::max<int64_t>(room, 1))));
  }
  r.params.max_tokens = *std::max_element(r.max_tokens.begin(), r.max_tokens.end());
  r.params.min_tokens = std::min(r.params.min_tokens, r.params.max_tokens);
}

void read_stream(const JsonFields& body, CompletionRequest& r) {
  r.stream = body.flag("stream", false);
  check(!r.stream || r.prompt_logprobs < 0, "prompt_logprobs: a stream has none; leave out stream");
  const JsonTree* options = body.find("stream_options");
  if (!options || !r.stream) return;
  JsonFields fields(*options, "stream_options");
  r.include_usage = fields.flag("include_usage", false);
  r.continuous_usage_stats = r.include_usage && fields.flag("continuous_usage_stats", false);
}

void refuse_unsupported(const JsonFields& body) {
  const JsonTree* format = body.find("response_format");
  check(!format || (format->is(Kind::kObject) && has_text(*format, "type") &&
                    format->find("type")->text == "text"),
        "response_format: only type text is supported");
  check(!body.find("suffix"), "suffix: is not supported");
  check(!body.find("functions"), "functions: is not supported; use tools");
  body.ignore({"user", "metadata", "store", "service_tier", "stream_options", "parallel_tool_calls",
               "tool_choice", "function_call", "modalities", "prediction", "safety_identifier",
               "prompt_cache_key", "verbosity", "reasoning_effort"});
}

}  // namespace

std::optional<Endpoint> endpoint_of(std::string_view path) {
  if (path == "/v1/completions") return Endpoint::kCompletions;
  if (path == "/v1/chat/completions") return Endpoint::kChatCompletions;
  return std::nullopt;
}

SamplingParams CompletionRequest::params_of(size_t prompt) const {
  SamplingParams own = params;
  if (!max_tokens.empty()) own.max_tokens = max_tokens.at(prompt);
  own.min_tokens = std::min(own.min_tokens, own.max_tokens);
  return own;
}

CompletionRequest parse_completion(const JsonTree& json, Endpoint endpoint, uint64_t seed,
                                   const CompletionContext& context) {
  check(json.is(Kind::kObject), "body: must be an object");
  JsonFields body(json);
  CompletionRequest r{.endpoint = endpoint};
  r.model = body.text("model", context.model_name);
  if (endpoint == Endpoint::kChatCompletions) {
    r.prompts = {read_chat(body, context, r.markup)};
  } else {
    const JsonTree* prompt = body.find("prompt");
    check(prompt != nullptr, "prompt: is missing");
    r.prompts = read_prompts(*prompt, context, body.flag("add_special_tokens", true));
  }
  std::vector<bool> is_cut = truncate_prompts(body, context, r.prompts);
  read_sampling(body, context, seed, r);
  if (r.echo) r.sent_texts = sent_texts(*body.find("prompt"));
  for (size_t i = 0; i < r.sent_texts.size(); ++i)
    if (is_cut[i]) r.sent_texts[i].reset();
  read_lengths(body, context, r);
  r.priority = static_cast<int32_t>(body.integer("priority", INT32_MIN, INT32_MAX, 0));
  read_stream(body, r);
  refuse_unsupported(body);
  if (!context.ignores_unknown_fields) body.check_all_read();
  return r;
}

}  // namespace ll
