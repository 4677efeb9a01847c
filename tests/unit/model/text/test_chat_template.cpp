#include "model/text/chat_template.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/unit/model/text/tokenizer_data.h"

namespace {

using Json = nlohmann::ordered_json;
using ll::ChatTemplate;
using ll::JsonTree;
using ll::test::error_of;

ChatTemplate of_file(const std::string& path) {
  return ChatTemplate::from_config(ll::test::read_data(path), path);
}

const ChatTemplate& qwen25_chat() {
  static const ChatTemplate chat = of_file("tokenizers/qwen2.5/tokenizer_config.json");
  return chat;
}

// What becomes of the body of a chat request.
std::string render(const ChatTemplate& chat, std::string_view body) {
  JsonTree tree = JsonTree::parse(body, "body");
  return chat.render(ll::read_chat_request(ll::JsonFields(tree)));
}

std::string render(std::string_view jinja, std::string_view body) {
  return render(ChatTemplate::from_text(jinja, "t"), body);
}

// Messages as they are, but for a content that is null.
JsonTree with_contents(JsonTree messages) {
  for (auto& [key, message] : messages.members)
    for (auto& [name, value] : message.members)
      if (name == "content" && value.is(JsonTree::Kind::kNull)) value = JsonTree::parse("\"\"", "");
  return messages;
}

std::string error(const ChatTemplate& chat, std::string_view body) {
  return error_of([&] { render(chat, body); });
}

std::string refusal_of(const Json& config, const std::string& jinja = {}) {
  return error_of([&] { ChatTemplate::from_config(config.dump(), "c.json", jinja); });
}

std::string user(const std::string& fields) {
  return R"({"messages": [{"role": "user", "content": "Hi"}], )" + fields + "}";
}

}  // namespace

TEST_CASE("chats render as with Jinja") {
  JsonTree golden = JsonTree::parse(ll::test::read_data("tokenizers/golden/chat.json"), "chat");
  std::map<std::string, ChatTemplate> templates;
  templates.emplace("qwen2.5", of_file("tokenizers/qwen2.5/tokenizer_config.json"));
  templates.emplace("tiny-qwen2-docs", of_file("models/tiny-qwen2-docs/tokenizer_config.json"));
  for (const auto& [name, jinja] : golden.find("templates")->members)
    templates.emplace(name, ChatTemplate::from_text(jinja.text, name));
  for (const auto& [key, entry] : golden.find("cases")->members) {
    std::string wanted = entry.find("text")->text;
    CAPTURE(wanted);
    ll::ChatRequest request{.messages = with_contents(*entry.find("messages")),
                            .tools = entry.find("tools")};
    request.add_generation_prompt = entry.find("add_generation_prompt")->text == "true";
    CHECK(templates.at(entry.find("template")->text).render(request) == wanted);
  }
  CHECK(golden.find("cases")->members.size() > 80);
}

TEST_CASE("templates that are not Jinja are refused with one line") {
  auto refusal = [](const char* jinja) { return refusal_of({{"chat_template", jinja}}); };
  CHECK(refusal("{{ messages }}") == "");
  CHECK(refusal("{% for") ==
        "c.json: chat_template, line 1: unexpected end of the template: '%}' is missing");
  CHECK(refusal("\n{{ 'a") == "c.json: chat_template, line 2: a string has no end");
  CHECK(refusal("{# open") == "c.json: chat_template, line 1: a comment has no end");
}

TEST_CASE("a config without a template is refused") {
  CHECK(
      refusal_of(Json::object()) ==
      "c.json: the model has no chat_template: send a rendered prompt to /v1/completions instead");
  CHECK(refusal_of({{"chat_template", 5}})
            .starts_with("c.json: chat_template is 5, neither a template nor a list"));
  CHECK(refusal_of({{"chat_template", {{{"name", "default"}}}}})
            .starts_with("c.json: chat_template has {\"name\": \"default\"}, which lacks"));
  CHECK(error_of([] {
          ChatTemplate::from_config("{", "c.json");
        }).starts_with("c.json: not valid JSON at byte "));
}

TEST_CASE("named templates are chosen by what a request has") {
  Json named = {{{"name", "default"}, {"template", "D"}},
                {{"name", "tool_use"}, {"template", "T{{ tools | length }}"}},
                {{"name", "rag"}, {"template", "R"}}};
  ChatTemplate chat = ChatTemplate::from_config(Json{{"chat_template", named}}.dump(), "c.json");
  CHECK(render(chat, user(R"("tools": null)")) == "D");
  CHECK(render(chat, user(R"("tools": [{}])")) == "T1");
  CHECK(render(chat, user(R"("chat_template_kwargs": {"chat_template": "rag"})")) == "R");
  CHECK(error(chat, user(R"("chat_template_kwargs": {"chat_template": "no"})")) ==
        "chat_template: this model has no template 'no'");
  CHECK(chat.has_tools());
  named.erase(0);
  chat = ChatTemplate::from_config(Json{{"chat_template", named}}.dump(), "c.json");
  CHECK(error(chat, user(R"("tools": null)")).find("none is named 'default'") != std::string::npos);
}

TEST_CASE("a template beside the config stands before those in it") {
  std::string config = Json{{"chat_template", "old"}, {"eos_token", {{"content", "<e>"}}}}.dump();
  ChatTemplate chat = ChatTemplate::from_config(config, "c.json", "new {{ eos_token }}");
  CHECK(render(chat, user(R"("tools": null)")) == "new <e>");
  CHECK(refusal_of({{"chat_template", "old"}}, "{{") ==
        "chat_template.jinja, line 1: unexpected end of the template: '}}' is missing");
}

TEST_CASE("a template sees special tokens and the request's variables, which win") {
  std::string jinja =
      "{{ bos_token }}{{ eos_token is defined }}{{ tools }}{{ documents }}"
      "{{ add_generation_prompt }}{{ enable_thinking }}";
  std::string config =
      Json{{"chat_template", jinja}, {"bos_token", "<b>"}, {"eos_token", nullptr}}.dump();
  ChatTemplate chat = ChatTemplate::from_config(config, "c.json");
  CHECK(render(chat, user(R"("add_generation_prompt": false)")) == "<b>FalseNoneNoneFalse");
  CHECK(render(chat, user(R"("chat_template_kwargs": {"bos_token": "X", "eos_token": "",
                             "enable_thinking": false})")) == "XTrueNoneNoneTrueFalse");
  CHECK_FALSE(of_file("models/tiny-qwen2-docs/tokenizer_config.json").has_tools());
  CHECK(qwen25_chat().has_tools());
}

TEST_CASE("messages are prepared as servers do") {
  std::string show = "{{ messages }}";
  CHECK(render(show, R"({"messages": [{"role": "user", "content": [
          {"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": null}]})") ==
        "[{'role': 'user', 'content': 'ab'}]");
  CHECK(render(show, R"({"messages": [{"role": "x", "content": null}, {"role": "y"}]})") ==
        "[{'role': 'x', 'content': ''}, {'role': 'y', 'content': ''}]");
  CHECK(render("{{ messages[0].thinking }}{{ messages[0].reasoning_content }}",
               R"({"messages": [{"role": "x", "reasoning": "r"}]})") == "rr");
  for (const char* arguments : {R"("")", R"(" \n")", "null", "{}", R"("{}")"}) {
    std::string call =
        fmt::format(R"([{{"function": {{"name": "f", "arguments": {}}}}}])", arguments);
    CHECK(render("{{ messages[0].tool_calls }}",
                 R"({"messages": [{"role": "x", "tool_calls": )" + call + "}]}") ==
          "[{'function': {'name': 'f', 'arguments': {}}}]");
  }
  ChatTemplate chat = ChatTemplate::from_text(show, "t");
  CHECK(error(chat, R"({"messages": []})") == "messages: must be a list of at least one message");
  CHECK(error(chat, R"({"messages": [{"content": "a"}]})") == "messages: a message needs a role");
  CHECK(error(chat, R"({"messages": [{"role": "a", "content": 5}]})") ==
        "messages: content must be a string or a list of text parts");
  CHECK(error(chat, user(R"("tools": {})")) == "tools: must be a list");
  CHECK(error(chat, user(R"("chat_template_kwargs": [])")) ==
        "chat_template_kwargs: must be an object");
}

TEST_CASE("an answer goes on with the last message") {
  std::string chatml =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>\n{% endfor %}"
      "{% if add_generation_prompt %}<assistant>{% endif %}";
  std::string begun = R"({"messages": [{"role": "user", "content": "a"},
    {"role": "assistant", "content": "Sure,  "}], "continue_final_message": true)";
  CHECK(render(chatml, begun + "}") == "<user>a</>\n<assistant>Sure,  ");
  std::string trimming = "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}";
  CHECK(render(trimming, begun + "}") == "[a][Sure,");
  ChatTemplate chat = ChatTemplate::from_text(chatml, "t");
  CHECK(error(chat, begun + R"(, "add_generation_prompt": true})") ==
        "continue_final_message: cannot go together with add_generation_prompt");
  CHECK(error(ChatTemplate::from_text("{{ messages[0].content }}", "t"), begun + "}")
            .starts_with("continue_final_message is set but the final message does not appear"));
  CHECK(error(ChatTemplate::from_text("{{ messages }}", "t"), begun + "}") ==
        "continue_final_message is set to \"content\" but this is not an accepted field in the "
        "chat_template");
  std::string thinking = R"({"messages": [{"role": "assistant", "reasoning": "Hm"}],
                             "continue_final_message": "reasoning"})";
  CHECK(render("<{{ messages[0].reasoning_content }}>", thinking) == "<Hm");
}

TEST_CASE("JSON is written as Python writes it") {
  auto python = [](std::string_view json) { return JsonTree::parse(json, "test").python_dump(); };
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
  JsonTree tree = JsonTree::parse(json, "test");
  CHECK(tree.members.size() == 200'000);
  CHECK(tree.members[0].value.integer() == 7);
}
