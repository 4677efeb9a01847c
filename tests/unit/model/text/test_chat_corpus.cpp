// Templates of published models: what transformers renders of each with some dozen conversations.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <filesystem>
#include <map>

#include "model/text/chat_template.h"
#include "tests/unit/model/text/corpus.h"
#include "tests/unit/model/text/tokenizer_data.h"

namespace {

using ll::ChatTemplate;
using ll::JsonTree;
using ll::test::corpus;
using ll::test::read_file;

std::vector<JsonTree> read_lines(const std::filesystem::path& path) {
  std::vector<JsonTree> lines;
  std::string text = read_file(path);
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    lines.push_back(JsonTree::parse(line, path.string()));
  }
  return lines;
}

// The body of a request for a conversation, with special tokens among its variables.
JsonTree body_of(const JsonTree& conversation, const JsonTree& special_tokens) {
  JsonTree body, variables = special_tokens;
  body.kind = JsonTree::Kind::kObject;
  body.members.push_back({"messages", *conversation.find("messages")});
  bool has_prompt_field = false;
  for (const auto& [name, value] : conversation.find("kwargs")->members) {
    bool is_field =
        name == "tools" || name == "add_generation_prompt" || name == "continue_final_message";
    (is_field ? body : variables).members.push_back({name, value});
    has_prompt_field |= name == "add_generation_prompt";
  }
  if (!has_prompt_field)
    body.members.push_back({"add_generation_prompt", JsonTree::parse("false", "")});
  body.members.push_back({"chat_template_kwargs", variables});
  return body;
}

struct Rendered {
  std::string text, error;
};

bool matches(const JsonTree& wanted, const Rendered& got) {
  if (const JsonTree* text = wanted.member("text"))
    return got.error.empty() && got.text == text->text;
  const JsonTree* message = wanted.member("message");
  return !got.error.empty() &&
         (message == nullptr || got.error.find(message->text.substr(0, 80)) != std::string::npos);
}

// Messages are rendered as servers prepare them, which the corpus lists where it makes a
// difference.
bool is_right(const JsonTree& test, const Rendered& got) {
  const JsonTree* others = test.find("alternatives");
  bool is_prepared = false;
  for (const char* name : {"parts_joined", "null_as_empty", "arguments_parsed"}) {
    const JsonTree* other = others ? others->find(name) : nullptr;
    if (other == nullptr) continue;
    is_prepared = true;
    if (matches(*other, got)) return true;
  }
  return !is_prepared && matches(test, got);
}

}  // namespace

TEST_CASE("templates of published models render as transformers renders them") {
  if (!std::filesystem::exists(corpus() / "cases.jsonl")) {
    MESSAGE("skipped: there is no corpus of templates at " << corpus().string());
    return;
  }
  setenv("SOURCE_DATE_EPOCH", "1796029507", 1);
  JsonTree list = JsonTree::parse(read_file(corpus() / "templates.json"), "templates.json");
  std::map<std::string, ChatTemplate> templates;
  for (const auto& [name, about] : list.members)
    templates.emplace(
        name, ChatTemplate::from_text(read_file(corpus() / "templates" / (name + ".jinja")), name));
  std::map<std::string, JsonTree> conversations;
  for (JsonTree& conversation : read_lines(corpus() / "conversations.jsonl"))
    conversations.emplace(conversation.find("id")->text, conversation);
  size_t num_texts = 0, num_errors = 0;
  for (const JsonTree& test : read_lines(corpus() / "cases.jsonl")) {
    std::string name = test.find("template")->text, id = test.find("conversation")->text;
    CAPTURE(name);
    CAPTURE(id);
    JsonTree body = body_of(conversations.at(id), *list.find(name)->find("special_tokens"));
    Rendered got;
    got.error = ll::test::error_of(
        [&] { got.text = templates.at(name).render(ll::read_chat_request(ll::JsonFields(body))); });
    CAPTURE(got.error);
    CHECK(is_right(test, got));
    ++(got.error.empty() ? num_texts : num_errors);
  }
  unsetenv("SOURCE_DATE_EPOCH");
  MESSAGE(num_texts << " conversations rendered, " << num_errors << " refused, of "
                    << templates.size() << " templates");
}
