// README.md says of each field of a request what becomes of it, and these are what requests do. A
// field that code reads and the table lacks is found by its name in the sources.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "runtime/batch/batch_envelope.h"
#include "tests/support/read_file.h"
#include "tests/support/test_paths.h"
#include "tests/unit/runtime/api/completion_context.h"

using namespace ll;
using namespace ll::test;

namespace {

const std::filesystem::path kRepository = ll::test::repository_path("");

std::string read_text(const std::filesystem::path& path) {
  std::string text = read_file(path);
  REQUIRE_MESSAGE(!text.empty(), path.string());
  return text;
}

// The names between double quotes that could be fields.
std::set<std::string> names_in_sources() {
  std::set<std::string> names;
  auto add = [&](const std::filesystem::path& path) {
    std::string text = read_text(path);
    std::regex name("\"([a-z][a-z_]*)\"");
    for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at)
      names.insert((*at)[1]);
  };
  for (const auto& file : std::filesystem::directory_iterator(kRepository / "runtime/api"))
    if (file.path().extension() == ".cpp") add(file.path());
  add(kRepository / "model/text/chat_request.cpp");
  return names;
}

struct Row {
  std::string field, completions, chat;
};

// "| `field` | honoured | ignored | ... |"
std::vector<Row> table() {
  std::string text = read_text(kRepository / "README.md");
  std::regex row(
      R"(\n\| `([a-z_]+)` \| (honoured|ignored|refused) \| (honoured|ignored|refused) \|)");
  std::vector<Row> rows;
  for (std::sregex_iterator at(text.begin(), text.end(), row), end; at != end; ++at)
    rows.push_back({(*at)[1], (*at)[2], (*at)[3]});
  return rows;
}

// A batch line with the field, and what a request needs besides.
std::string refusal_of(Endpoint endpoint, const std::string& field, const std::string& value) {
  bool is_chat = endpoint == Endpoint::kChatCompletions;
  std::map<std::string, std::string> body = {
      is_chat ? std::pair{"messages", R"([{"role": "user", "content": "Hi"}])"}
              : std::pair{"prompt", R"("Hi")"}};
  if (is_chat && field == "top_logprobs") body["logprobs"] = "true";
  if (field == "continue_final_message")
    body["messages"] =
        R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}])";
  body[field] = value;
  std::string json;
  for (const auto& [name, text] : body)
    json += fmt::format("{}\"{}\": {}", json.empty() ? "" : ", ", name, text);
  std::string id, line = fmt::format(R"({{"custom_id": "a", "url": "{}", "body": {{{}}}}})",
                                     is_chat ? "/v1/chat/completions" : "/v1/completions", json);
  static const ChatTemplate with_tools = ChatTemplate::from_config(
      read_data("tokenizers/qwen2.5/tokenizer_config.json"), "tokenizer_config.json");
  CompletionContext context = make_context();
  context.chat_template = &with_tools;
  return error_of([&] { parse_batch_line(line, 1, 0, context, id); });
}

// Something that is right for each field of its kind; "{}" and the like are right for few.
const std::vector<std::string> kValues = {"1",
                                          "0",
                                          "true",
                                          "false",
                                          R"("auto")",
                                          R"("none")",
                                          R"("Hi")",
                                          R"(["Hi"])",
                                          "[7]",
                                          "{}",
                                          R"({"7": 1})",
                                          R"({"type": "text"})",
                                          R"([{"role": "user", "content": "Hi"}])",
                                          R"([{"type": "function", "function": {"name": "f"}}])",
                                          R"([["Hi"]])"};
// Nothing that a field takes, but where all is taken.
const std::vector<std::string> kWrong = {"-1e300", R"("\u0001")", "[[[true]]]",
                                         R"({"\u0001": [true]})", "false"};

bool any_is_taken(const std::vector<std::string>& values, Endpoint endpoint,
                  const std::string& field) {
  return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
    return refusal_of(endpoint, field, value).empty();
  });
}

bool all_are_taken(const std::vector<std::string>& values, Endpoint endpoint,
                   const std::string& field) {
  return std::all_of(values.begin(), values.end(), [&](const std::string& value) {
    return refusal_of(endpoint, field, value).empty();
  });
}

std::string treatment(Endpoint endpoint, const std::string& field) {
  if (!any_is_taken(kValues, endpoint, field)) return "refused";
  return all_are_taken(kValues, endpoint, field) && all_are_taken(kWrong, endpoint, field)
             ? "ignored"
             : "honoured";
}

bool is_unknown(Endpoint endpoint, const std::string& field) {
  return refusal_of(endpoint, field, "1").find("unknown field") != std::string::npos;
}

}  // namespace

TEST_CASE("README.md says of each field what becomes of it") {
  std::vector<Row> rows = table();
  CHECK(rows.size() > 50);
  std::set<std::string> named;
  for (const Row& row : rows) {
    CAPTURE(row.field);
    CHECK(row.completions == treatment(Endpoint::kCompletions, row.field));
    CHECK(row.chat == treatment(Endpoint::kChatCompletions, row.field));
    CHECK(named.insert(row.field).second);
  }
  size_t num_known = 0;
  for (const std::string& name : names_in_sources()) {
    bool is_field =
        !is_unknown(Endpoint::kCompletions, name) || !is_unknown(Endpoint::kChatCompletions, name);
    num_known += is_field;
    CHECK_MESSAGE((!is_field || named.count(name)), "README.md's table of fields lacks ", name);
  }
  CHECK(num_known > 50);
}

TEST_CASE("a field that is refused is named by the error") {
  for (const Row& row : table()) {
    CAPTURE(row.field);
    for (auto [endpoint, is] : {std::pair{Endpoint::kCompletions, row.completions},
                                std::pair{Endpoint::kChatCompletions, row.chat}})
      if (is == "refused")
        CHECK(refusal_of(endpoint, row.field, "1").find(row.field) != std::string::npos);
  }
}
