#include "model/text/chat_template.h"

#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "base/json_tree.h"
#include "tests/unit/model/text/tokenizer_data.h"

namespace {

using Json = nlohmann::ordered_json;
using ll::ChatMessage;
using ll::ChatTemplate;
using ll::JsonTree;
using ll::test::error_of;

ChatTemplate of_file(const std::string& path) {
  return ChatTemplate::from_config(ll::test::read_data(path), path);
}

ChatTemplate qwen25() { return of_file("tokenizers/qwen2.5/tokenizer_config.json"); }

std::string text_of(const JsonTree* value) { return value ? value->text : ""; }

// The tree keeps the integers past 64 bits of the golden file, which nlohmann::json does not.
std::vector<ChatMessage> messages_of(const JsonTree& list) {
  std::vector<ChatMessage> messages;
  for (const auto& [key, message] : list.members) {
    const JsonTree* calls = message.member("tool_calls");
    messages.push_back({text_of(message.find("role")), text_of(message.find("content")),
                        calls ? calls->python_dump() : ""});
  }
  return messages;
}

std::string python(std::string_view json) { return JsonTree::parse(json, "test").python_dump(); }

std::string refusal_of(const std::string& jinja) {
  return error_of([&] {
    ChatTemplate::from_config(Json{{"chat_template", jinja}}.dump(), "c.json");
  });
}

}  // namespace

TEST_CASE("chats render as with Jinja") {
  const JsonTree golden =
      JsonTree::parse(ll::test::read_data("tokenizers/golden/chat.json"), "chat");
  std::map<std::string, ChatTemplate> templates;
  templates.emplace("qwen2.5", qwen25());
  templates.emplace("tiny-qwen2-docs", of_file("models/tiny-qwen2-docs/tokenizer_config.json"));
  for (const auto& [name, jinja] : golden.find("templates")->members) {
    templates.emplace(name, ChatTemplate::from_text(jinja.text, name));
  }
  for (const auto& [key, entry] : golden.find("cases")->members) {
    const std::string wanted = entry.find("text")->text;
    CAPTURE(wanted);
    const JsonTree* tools = entry.find("tools");
    const ChatTemplate& chat = templates.at(entry.find("template")->text);
    CHECK(chat.render(messages_of(*entry.find("messages")),
                      entry.find("add_generation_prompt")->text == "true",
                      tools ? tools->python_dump() : "") == wanted);
  }
  CHECK(golden.find("cases")->members.size() > 80);
}

TEST_CASE("the default system prompt comes out of the template") {
  CHECK(qwen25().default_system() ==
        "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.");
  CHECK(qwen25().has_tools());
  const ChatTemplate plain = of_file("models/tiny-qwen2-docs/tokenizer_config.json");
  CHECK(plain.default_system() == "");
  CHECK_FALSE(plain.has_tools());
}

TEST_CASE("templates that differ from the known ones are refused with one line") {
  const std::string jinja =
      Json::parse(ll::test::read_data("tokenizers/qwen2.5/tokenizer_config.json"))["chat_template"];
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = jinja;
    return changed.replace(changed.find(from), from.size(), to);
  };
  CHECK(refusal_of(jinja) == "");
  for (const std::string& other :
       {with("# Tools", "# Tool"), with("not loop.first", "loop.first"),
        with("You are Qwen", "I am Qwen"),
        with("<|im_start|>assistant\\n' }}\n{%- endif %}", "<|im_start|>assistant\\n' }}"),
        jinja + "x", std::string("{{ messages }}"), std::string("{% for"), std::string("{{ 'a"),
        std::string("{{ '\\x41' }}"), std::string("{# open"), std::string("{{"),
        std::string("{")}) {
    const std::string error = refusal_of(other);
    CHECK(error.starts_with("c.json: chat_template '"));
    CHECK(error.ends_with("send a rendered prompt to /v1/completions instead"));
    CHECK(error.find('\n') == std::string::npos);
  }
  CHECK(refusal_of("{{ messages }}").find("'{{ messages }}'") != std::string::npos);
}

TEST_CASE("a config without one template is refused") {
  const auto error = [](const char* config) {
    return error_of([&] { ChatTemplate::from_config(config, "c.json"); });
  };
  CHECK(
      error("{}") ==
      "c.json: the model has no chat_template: send a rendered prompt to /v1/completions instead");
  CHECK(error(R"({"chat_template": [{"name": "default", "template": "x"}]})")
            .starts_with("c.json: chat_template is [{\"name\": \"default\""));
  CHECK(error("{").starts_with("c.json: not valid JSON at byte "));
}

TEST_CASE("messages and tools that the template cannot take are refused") {
  const auto error = [](std::vector<ChatMessage> messages, const char* tools) {
    return error_of([&] { qwen25().render(messages, true, tools); });
  };
  CHECK(error({}, "").starts_with("messages: the list is empty"));
  const ChatMessage hi = {"user", "hi", ""};
  CHECK(error({hi}, "{}") == "tools: must be a JSON list");
  CHECK(error({hi}, "[1").starts_with("tools: not valid JSON at byte "));
  CHECK(error({hi}, "[]") == "");
  CHECK(error({hi}, "null") == "");
  for (const char* calls : {R"([1])", R"([{"name": "f"}])", R"([{"name": 1, "arguments": {}}])",
                            R"([{"function": null}])"}) {
    CHECK(error({{"assistant", "", calls}}, "").starts_with("messages: a tool call needs"));
  }
  CHECK(error({{"assistant", "", "7"}}, "") == "messages: tool_calls: must be a JSON list");
}

TEST_CASE("JSON is written as Python writes it") {
  CHECK(python(R"( {"b":1,"a":[1.0,-0.0,1e16,1E-5,true,null]} )") ==
        R"({"b": 1, "a": [1.0, -0.0, 1e+16, 1e-05, true, null]})");
  CHECK(python(R"({"a":1,"b":2,"a":3})") == R"({"a": 3, "b": 2})");
  CHECK(python("[123456789012345678901234567890,-1,-0]") ==
        "[123456789012345678901234567890, -1, 0]");
  CHECK(python(R"(["\u0000\u001f\u007f\"\\\/\b\f\n\r\t\u00e9"])") ==
        "[\"\\u0000\\u001f\x7f\\\"\\\\/\\b\\f\\n\\r\\t\u00e9\"]");
  CHECK(python("[{},[]]") == "[{}, []]");
}

TEST_CASE("an object of many keys takes no quadratic time") {
  std::string json = "{";
  for (int i = 0; i < 200'000; ++i) json += fmt::format("\"{0}\":{0},", i);
  json += "\"0\":7}";
  const JsonTree tree = JsonTree::parse(json, "test");
  CHECK(tree.members.size() == 200'000);
  CHECK(tree.members[0].value.integer() == 7);
}
