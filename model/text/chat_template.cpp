#include "model/text/chat_template.h"

#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/printable.h"
#include "model/text/chat_template_known.h"
#include "model/text/jinja_tokens.h"

namespace ll {

namespace {

using Kind = JsonTree::Kind;

constexpr std::string_view kWayOut = "send a rendered prompt to /v1/completions instead";

constexpr std::string_view kToolsIntro =
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
constexpr std::string_view kToolsOutro =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n";

// The default system prompt if `tokens` are those of `known`, with one text in place of each mark.
std::optional<std::string> match_template(const std::vector<std::string>& tokens,
                                          std::string_view known) {
  const std::vector<std::string> wanted = jinja_tokens(known).value();
  if (tokens.size() != wanted.size()) return {};
  std::optional<std::string> found;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view token = tokens[i], pattern = wanted[i];
    const size_t mark = pattern.find(kDefaultSystemMark);
    if (mark == pattern.npos) {
      if (token != pattern) return {};
      continue;
    }
    const std::string_view head = pattern.substr(0, mark);
    const std::string_view tail = pattern.substr(mark + kDefaultSystemMark.size());
    if (token.size() < head.size() + tail.size() || !token.starts_with(head) ||
        !token.ends_with(tail)) {
      return {};
    }
    std::string text(token.substr(head.size(), token.size() - head.size() - tail.size()));
    if (found && *found != text) return {};
    found = std::move(text);
  }
  return found ? found : std::string();
}

void append_message(std::string& out, std::string_view role, std::string_view content) {
  out += fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, content);
}

JsonTree parse_list(std::string_view json, std::string_view where) {
  JsonTree list;
  if (!json.empty()) list = JsonTree::parse(json, where);
  check(list.is(Kind::kArray) || list.is(Kind::kNull), "{}: must be a JSON list", where);
  return list;
}

void append_tool_call(std::string& out, const JsonTree& call) {
  const JsonTree* function = call.member("function");
  if (!function) function = &call;
  const JsonTree* name = function->member("name");
  const JsonTree* arguments = function->member("arguments");
  check(name && name->is(Kind::kString) && arguments,
        "messages: a tool call needs a \"name\" and \"arguments\": send both");
  out += fmt::format("\n<tool_call>\n{{\"name\": \"{}\", \"arguments\": {}}}\n</tool_call>",
                     name->text, arguments->python_dump());
}

void append_assistant(std::string& out, const ChatMessage& message) {
  const JsonTree calls = parse_list(message.tool_calls, "messages: tool_calls");
  if (calls.members.empty()) return append_message(out, message.role, message.content);
  out += "<|im_start|>assistant";
  if (!message.content.empty()) out.append("\n").append(message.content);
  for (const JsonTree::Member& call : calls.members) append_tool_call(out, call.value);
  out += "<|im_end|>\n";
}

// Results of tools that follow each other share one turn of the user.
void append_tool_result(std::string& out, std::span<const ChatMessage> messages, size_t i) {
  const auto is_tool = [&](size_t other) { return messages[other].role == "tool"; };
  if (i == 0 || !is_tool(i - 1)) out += "<|im_start|>user";
  out += fmt::format("\n<tool_response>\n{}\n</tool_response>", messages[i].content);
  if (i + 1 == messages.size() || !is_tool(i + 1)) out += "<|im_end|>\n";
}

}  // namespace

ChatTemplate ChatTemplate::from_config(std::string_view tokenizer_config_json,
                                       std::string_view where) {
  const JsonTree config = JsonTree::parse(tokenizer_config_json, where);
  const JsonTree* jinja = config.find("chat_template");
  if (!jinja) fail("{}: the model has no chat_template: {}", where, kWayOut);
  if (!jinja->is(Kind::kString)) {
    fail("{}: chat_template is {}, not one template: {}", where,
         printable(jinja->python_dump(), 60), kWayOut);
  }
  return from_text(jinja->text, where);
}

ChatTemplate ChatTemplate::from_text(std::string_view jinja, std::string_view where) {
  constexpr std::pair<Family, std::string_view> kKnown[] = {
      {Family::kPlain, kPlainChatMl},
      {Family::kQwen2, kQwen2Template},
      {Family::kQwen25, kQwen25Template},
  };
  if (const auto tokens = jinja_tokens(jinja)) {
    for (const auto& [family, known] : kKnown) {
      if (auto system = match_template(*tokens, known)) return {family, std::move(*system)};
    }
  }
  fail("{}: chat_template '{}' is not the one of Qwen2, Qwen2.5 or plain ChatML: {}", where,
       printable(jinja, 60), kWayOut);
}

std::string ChatTemplate::render(std::span<const ChatMessage> messages, bool add_generation_prompt,
                                 std::string_view tools_json) const {
  std::string out =
      family_ == Family::kQwen25 ? render_qwen25(messages, tools_json) : render_plain(messages);
  if (add_generation_prompt) out += "<|im_start|>assistant\n";
  return out;
}

std::string ChatTemplate::render_plain(std::span<const ChatMessage> messages) const {
  std::string out;
  if (family_ == Family::kQwen2 && !messages.empty() && messages[0].role != "system") {
    append_message(out, "system", default_system_);
  }
  for (const ChatMessage& message : messages) append_message(out, message.role, message.content);
  return out;
}

std::string ChatTemplate::render_qwen25(std::span<const ChatMessage> messages,
                                        std::string_view tools_json) const {
  check(!messages.empty(), "messages: the list is empty: send at least one message");
  const bool has_system = messages[0].role == "system";
  const std::string& system = has_system ? messages[0].content : default_system_;
  const JsonTree tools = parse_list(tools_json, "tools");
  std::string out;
  if (tools.members.empty()) {
    append_message(out, "system", system);
  } else {
    out += fmt::format("<|im_start|>system\n{}{}", system, kToolsIntro);
    for (const JsonTree::Member& tool : tools.members)
      out.append("\n").append(tool.value.python_dump());
    out += kToolsOutro;
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role == "user" || (message.role == "system" && i > 0)) {
      append_message(out, message.role, message.content);
    } else if (message.role == "assistant") {
      append_assistant(out, message);
    } else if (message.role == "tool") {
      append_tool_result(out, messages, i);
    }
  }
  return out;
}

}  // namespace ll
