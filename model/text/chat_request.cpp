#include "model/text/chat_request.h"

#include "base/check.h"

namespace ll {

namespace {

using Kind = JsonTree::Kind;

bool has_text(const JsonTree& object, std::string_view key) {
  const JsonTree* value = object.find(key);
  return value != nullptr && value->is(Kind::kString);
}

JsonTree text_node(std::string text) {
  JsonTree node;
  node.kind = Kind::kString;
  node.text = std::move(text);
  return node;
}

JsonTree joined_content(const JsonTree& content) {
  if (content.is(Kind::kString) || content.is(Kind::kObject)) return content;
  if (content.is(Kind::kNull)) return text_node("");
  check(content.is(Kind::kArray), "messages: content must be a string or a list of text parts");
  std::string text;
  for (const auto& [key, part] : content.members) {
    bool is_text = part.is(Kind::kObject) && has_text(part, "type") &&
                   part.find("type")->text == "text" && has_text(part, "text");
    check(is_text, "messages: only parts of type text are supported");
    text += part.find("text")->text;
  }
  return text_node(std::move(text));
}

// OpenAI's clients send a call's arguments as a string of JSON; templates want the object.
void parse_arguments(JsonTree& call) {
  check(call.is(Kind::kObject), "messages: a tool call must be an object");
  JsonTree* function = &call;
  for (auto& [name, value] : call.members)
    if (name == "function") function = &value;
  for (auto& [name, value] : function->members) {
    bool is_text = value.is(Kind::kString);
    if (name != "arguments" || (!is_text && !value.is(Kind::kNull))) continue;
    bool is_blank = value.text.find_first_not_of(" \t\r\n") == std::string::npos;
    std::string json = is_text && !is_blank ? std::move(value.text) : "{}";
    value = JsonTree::parse(json, "messages: a tool call's arguments");
  }
}

JsonTree prepared_calls(const JsonTree& calls) {
  check(calls.is(Kind::kArray), "messages: tool_calls must be a list");
  JsonTree parsed = calls;
  for (auto& [key, call] : parsed.members) parse_arguments(call);
  return parsed;
}

void set(JsonTree& object, std::string_view name, const JsonTree& value) {
  for (auto& [key, old] : object.members) {
    if (key != name) continue;
    old = value;
    return;
  }
  object.members.push_back({std::string(name), value});
}

// What templates call the reasoning before an answer; the first that is there stands for all.
void name_reasoning(JsonTree& message) {
  for (std::string_view name : {"reasoning_content", "thinking", "reasoning"}) {
    const JsonTree* found = message.member(name);
    if (found == nullptr) continue;
    JsonTree reasoning = *found;
    if (message.member("thinking") == nullptr)
      message.members.insert(message.members.begin(), {"thinking", reasoning});
    set(message, "reasoning_content", reasoning);
    return;
  }
}

JsonTree prepared(const JsonTree& message) {
  check(message.is(Kind::kObject) && has_text(message, "role"), "messages: a message needs a role");
  JsonTree out;
  out.kind = Kind::kObject;
  for (const auto& [name, value] : message.members)
    if (name == "content")
      out.members.push_back({name, joined_content(value)});
    else if (name == "tool_calls" && !value.is(Kind::kNull))
      out.members.push_back({name, prepared_calls(value)});
    else if (!value.is(Kind::kNull))
      out.members.push_back({name, value});
  if (out.member("content") == nullptr) out.members.push_back({"content", text_node("")});
  name_reasoning(out);
  return out;
}

const JsonTree* list_of(const JsonFields& body, const char* name) {
  const JsonTree* list = body.find(name);
  if (list != nullptr && !list->is(Kind::kArray)) fail("{}: must be a list", name);
  return list;
}

// true: the content; a text: the field of that name.
std::string continued_field(const JsonFields& body) {
  const JsonTree* value = body.find("continue_final_message");
  if (value != nullptr && value->is(Kind::kString)) return value->text;
  return body.flag("continue_final_message", false) ? "content" : "";
}

}  // namespace

JsonTree prepare_messages(const JsonTree& messages) {
  JsonTree out;
  out.kind = Kind::kArray;
  for (const auto& [key, message] : messages.members)
    out.members.push_back({"", prepared(message)});
  return out;
}

ChatRequest read_chat_request(const JsonFields& body) {
  ChatRequest request;
  const JsonTree* messages = body.find("messages");
  check(messages && messages->is(Kind::kArray) && !messages->members.empty(),
        "messages: must be a list of at least one message");
  request.messages = prepare_messages(*messages);
  request.tools = list_of(body, "tools");
  request.documents = list_of(body, "documents");
  request.variables = body.find("chat_template_kwargs");
  check(!request.variables || request.variables->is(Kind::kObject),
        "chat_template_kwargs: must be an object");
  request.continued = continued_field(body);
  request.add_generation_prompt = body.flag("add_generation_prompt", request.continued.empty());
  check(request.continued.empty() || !request.add_generation_prompt,
        "continue_final_message: cannot go together with add_generation_prompt");
  return request;
}

}  // namespace ll
