#include "model/text/chat_template.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/printable.h"
#include "model/text/jinja/values/white_space.h"

namespace ll {

namespace {

using Kind = JsonTree::Kind;

constexpr std::string_view kWayOut = "send a rendered prompt to /v1/completions instead";

// Stands behind the text that an answer goes on with, so that what the template puts behind that
// text can be found. Its blank tells whether the template trims.
constexpr std::string_view kTag = "CONTINUE_FINAL_MESSAGE_TAG ";

JsonTree flag_node(bool value) {
  JsonTree node;
  node.kind = Kind::kBool;
  node.text = value ? "true" : "false";
  return node;
}

// The tokens of a config that have a name, given as text or as an object with the text.
JsonTree special_tokens(const JsonTree& config) {
  JsonTree tokens;
  tokens.kind = Kind::kObject;
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    const JsonTree* token = config.find(name);
    if (token != nullptr && token->is(Kind::kObject)) token = token->find("content");
    if (token != nullptr && token->is(Kind::kString)) tokens.members.push_back({name, *token});
  }
  return tokens;
}

void put(JsonTree& object, std::string_view name, JsonTree value) {
  auto same = std::find_if(object.members.begin(), object.members.end(),
                           [&](const JsonTree::Member& m) { return m.key == name; });
  if (same != object.members.end())
    same->value = std::move(value);
  else
    object.members.push_back({std::string(name), std::move(value)});
}

// The fields that hold the text an answer goes on with: reasoning is there under several names.
std::vector<std::string_view> continued_fields(const JsonTree& message, std::string_view field) {
  constexpr std::string_view kReasoning[] = {"reasoning_content", "thinking", "reasoning"};
  const JsonTree* text = message.find(field);
  check(text != nullptr && text->is(Kind::kString),
        "continue_final_message is set but the final message has no \"{}\" to continue: it must "
        "be a text",
        printable(field, 40));
  if (std::find(std::begin(kReasoning), std::end(kReasoning), field) == std::end(kReasoning))
    return {field};
  std::vector<std::string_view> fields;
  for (std::string_view name : kReasoning) {
    const JsonTree* same = message.find(name);
    if (same != nullptr && same->text == text->text) fields.push_back(name);
  }
  return fields;
}

// The prompt up to the end of the continued text.
std::string cut_at_tag(std::string prompt, std::string_view text) {
  std::string_view mark = jinja::strip(kTag);
  size_t at = prompt.rfind(mark);
  check(at != prompt.npos && prompt.find(jinja::strip(text)) != prompt.npos,
        "continue_final_message is set but the final message does not appear in the chat after "
        "applying the chat template! This can happen if the chat template deletes portions of the "
        "final message. Please verify the chat template and final message in your chat to ensure "
        "they are compatible.");
  bool keeps_blanks = prompt.compare(at, kTag.size(), kTag) == 0;
  prompt.resize(at);
  if (!keeps_blanks) prompt.resize(jinja::strip_right(prompt).size());
  return prompt;
}

}  // namespace

ChatTemplate ChatTemplate::from_config(std::string_view tokenizer_config_json,
                                       std::string_view where,
                                       std::string_view chat_template_jinja) {
  JsonTree config = JsonTree::parse(tokenizer_config_json, where);
  Templates templates;
  auto add = [&](const std::string& name, std::string_view source, std::string_view file) {
    templates.insert_or_assign(name, jinja::Template(source, file));
  };
  std::string in_config = fmt::format("{}: chat_template", where);
  const JsonTree* given = config.find("chat_template");
  if (!chat_template_jinja.empty()) {
    add("default", chat_template_jinja, "chat_template.jinja");
  } else if (given == nullptr) {
    fail("{}: the model has no chat_template: {}", where, kWayOut);
  } else if (given->is(Kind::kString)) {
    add("default", given->text, in_config);
  } else {
    check(given->is(Kind::kArray) && !given->members.empty(),
          "{}: chat_template is {}, neither a template nor a list of named ones: {}", where,
          printable(given->python_dump(), 60), kWayOut);
    for (const auto& [key, one] : given->members) {
      const JsonTree *name = one.find("name"), *source = one.find("template");
      check(name && name->is(Kind::kString) && source && source->is(Kind::kString),
            "{}: chat_template has {}, which lacks a name or a template: {}", where,
            printable(one.python_dump(), 60), kWayOut);
      add(name->text, source->text, fmt::format("{} '{}'", in_config, printable(name->text, 40)));
    }
  }
  ChatTemplate chat(std::move(templates));
  chat.special_tokens_ = special_tokens(config);
  return chat;
}

ChatTemplate ChatTemplate::from_text(std::string_view jinja, std::string_view where) {
  Templates templates;
  templates.emplace("default", jinja::Template(jinja, where));
  return ChatTemplate(std::move(templates));
}

bool ChatTemplate::has_tools() const {
  return std::any_of(templates_.begin(), templates_.end(),
                     [](const auto& named) { return named.second.reads("tools"); });
}

bool ChatTemplate::mentions(std::string_view text) const {
  return std::any_of(templates_.begin(), templates_.end(), [&](const auto& named) {
    return named.second.source().find(text) != std::string_view::npos;
  });
}

// The variable chat_template may name one, as it does in transformers; "tool_use" is the one for
// requests with tools.
const jinja::Template& ChatTemplate::choose(const ChatRequest& request) const {
  const JsonTree* wanted = request.variables ? request.variables->find("chat_template") : nullptr;
  if (wanted != nullptr && wanted->is(Kind::kString)) {
    auto named = templates_.find(wanted->text);
    check(named != templates_.end(), "chat_template: this model has no template '{}'",
          printable(wanted->text, 40));
    return named->second;
  }
  auto found = templates_.find(request.tools != nullptr ? "tool_use" : "default");
  if (found == templates_.end()) found = templates_.find("default");
  if (found == templates_.end() && templates_.size() == 1) found = templates_.begin();
  check(found != templates_.end(),
        "chat_template: this model has several templates and none is named 'default': name one in "
        "chat_template_kwargs");
  return found->second;
}

std::string ChatTemplate::render(const ChatRequest& request,
                                 const jinja::RenderLimits& limits) const {
  const jinja::Template& chosen = choose(request);
  JsonTree messages = request.messages;
  std::string continued;
  if (!request.continued.empty()) {
    JsonTree& last = messages.members.back().value;
    std::vector<std::string_view> fields = continued_fields(last, request.continued);
    continued = last.find(request.continued)->text;
    bool is_read = std::any_of(fields.begin(), fields.end(), [&](std::string_view field) {
      return chosen.source().find(field) != std::string_view::npos;
    });
    check(is_read,
          "continue_final_message is set to \"{}\" but this is not an accepted field in the "
          "chat_template",
          printable(request.continued, 40));
    for (auto& [name, value] : last.members)
      if (std::find(fields.begin(), fields.end(), name) != fields.end()) value.text += kTag;
  }
  JsonTree variables;
  variables.kind = Kind::kObject;
  variables.members = special_tokens_.members;
  put(variables, "messages", std::move(messages));
  put(variables, "tools", request.tools ? *request.tools : JsonTree());
  put(variables, "documents", request.documents ? *request.documents : JsonTree());
  put(variables, "add_generation_prompt", flag_node(request.add_generation_prompt));
  if (request.variables != nullptr)
    for (const auto& [name, value] : request.variables->members)
      if (name != "chat_template") put(variables, name, value);
  std::string prompt = chosen.render(variables, limits);
  return request.continued.empty() ? prompt : cut_at_tag(std::move(prompt), continued);
}

}  // namespace ll
