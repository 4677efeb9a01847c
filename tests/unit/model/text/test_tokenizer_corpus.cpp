// Small tokenizers of many kinds, with the ids that Hugging Face's tokenizers gives for 60 texts.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <optional>

#include "base/json_tree.h"
#include "model/config/model_texts.h"
#include "model/text/tokenizer.h"
#include "tests/unit/model/text/corpus.h"
#include "tests/unit/model/text/tokenizer_data.h"

namespace {

using ll::JsonTree;
using ll::Tokenizer;
using ll::test::corpus;

std::vector<int32_t> ids_of(const JsonTree& list) {
  std::vector<int32_t> ids;
  for (const auto& [key, id] : list.members) ids.push_back(static_cast<int32_t>(*id.integer()));
  return ids;
}

void check_case(const Tokenizer& tokenizer, const JsonTree& test, const std::string& text) {
  std::vector<int32_t> ids = ids_of(*test.find("ids"));
  const JsonTree *with_special = test.find("ids_with_special"), *decoded = test.find("decoded");
  CHECK(tokenizer.encode(text) == ids);
  CHECK(tokenizer.encode(text, true) == (with_special ? ids_of(*with_special) : ids));
  bool is_same = decoded->is(JsonTree::Kind::kBool);
  CHECK(tokenizer.decode(ids, false) == (is_same ? text : decoded->text));
  if (const JsonTree* skipped = test.find("decoded_skip_special"))
    CHECK(tokenizer.decode(ids, true) == skipped->text);
}

}  // namespace

TEST_CASE("small tokenizers of many kinds give the ids of Hugging Face's tokenizers") {
  if (!std::filesystem::exists(corpus() / "tokenizer_cases.jsonl")) {
    MESSAGE("skipped: there is no corpus of tokenizers at " << corpus().string());
    return;
  }
  JsonTree about = JsonTree::parse(ll::read_model_text(corpus() / "tokenizers.json"), "about");
  JsonTree texts = JsonTree::parse(ll::read_model_text(corpus() / "tokenizer_texts.json"), "texts");
  std::map<std::string, std::optional<Tokenizer>> tokenizers;
  size_t num_refused = 0, num_cases = 0;
  for (const auto& [name, what] : about.members) {
    CAPTURE(name);
    std::string error = ll::test::error_of([&] {
      std::string json = ll::read_tokenizer_json(corpus() / "tokenizers" / name);
      tokenizers[name].emplace(Tokenizer::from_json(json, name));
    });
    CAPTURE(error);
    CHECK((error.empty() || what.find("needs")->text != "yes"));
    num_refused += !error.empty();
  }
  std::string lines = ll::read_model_text(corpus() / "tokenizer_cases.jsonl");
  for (std::string_view rest = lines; !rest.empty();) {
    std::string line(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    JsonTree test = JsonTree::parse(line, "case");
    std::string name = test.find("tokenizer")->text;
    CAPTURE(line);
    if (!tokenizers[name]) continue;
    auto number = static_cast<size_t>(*test.find("text")->integer());
    check_case(*tokenizers[name], test, texts.members[number].value.text);
    ++num_cases;
  }
  MESSAGE(num_cases << " texts encoded and decoded; " << num_refused << " of "
                    << about.members.size() << " tokenizers refused");
}
