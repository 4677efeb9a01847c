#include "model/text/tokenizer.h"

#include <doctest/doctest.h>

#include <random>
#include <thread>

#include "base/utf8.h"
#include "model/text/pre_tokenizer_unicode.h"
#include "tests/support/seconds_of.h"
#include "tests/unit/model/text/tokenizer_data.h"

namespace {

using Ids = std::vector<int32_t>;
using Json = nlohmann::ordered_json;
using ll::Tokenizer;
using ll::test::qwen25;
using ll::test::seconds_of;
using ll::test::tiny_docs;

// A byte-level tokenizer.json of few tokens, to be changed by the tests. Bytes are their own ids.
Json small_json() {
  Json vocab = Json::object();
  auto add = [&](const std::string& token) { vocab[token] = vocab.size(); };
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    std::string token;
    ll::append_utf8(token, char32_t(printable ? byte : next++));
    add(token);
  }
  for (const char* token : {"he", "ll", "hell", "hello", "Ġhello"}) add(token);
  Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  Json split = {{"type", "Split"},
                {"pattern", {{"Regex", R"( ?\p{L}+|\s+|[^\s\p{L}]+)"}}},
                {"behavior", "Isolated"},
                {"invert", false}};
  return {{"added_tokens", Json::array()},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level})}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"vocab", vocab},
            {"merges", {"h e", "l l", "he ll", "hell o", "Ġ hello"}}}}};
}

Json added(const std::string& content, int id, const Json& flags = Json::object()) {
  Json token = {{"id", id}, {"content", content}, {"special", false}, {"normalized", false}};
  token.update(flags);
  return token;
}

Tokenizer load(const Json& json) { return Tokenizer::from_json(json.dump(), "t.json"); }

std::string refusal(const Json& json) {
  return ll::test::error_of([&] { load(json); });
}

// With one key changed: "/model/type" and its value.
std::string refusal(const char* path, const Json& value) {
  Json json = small_json();
  json[Json::json_pointer(path)] = value;
  return refusal(json);
}

bool starts_with(const std::string& text, const std::string& prefix) {
  CAPTURE(text);
  CAPTURE(prefix);
  bool one_line = text.find('\n') == std::string::npos;
  bool ok = text.starts_with(prefix) && one_line;
  CHECK(ok);
  return ok;
}

void check_golden(const Tokenizer& tokenizer, const std::string& name) {
  for (const Json& entry : ll::test::golden(name)) {
    std::string text = entry["text"];
    CAPTURE(text);
    Ids ids = tokenizer.encode(text);
    CHECK(ids == entry["ids"].get<Ids>());
    CHECK(tokenizer.decode(ids, false) == entry["decoded"].get<std::string>());
  }
}

std::string random_text(std::mt19937& random) {
  constexpr char32_t kLimits[] = {0x80, 0x250, 0x3000, 0x110000};
  std::string text;
  size_t n = random() % 40;
  char32_t limit = kLimits[random() % 4];
  for (size_t i = 0; i < n; ++i) {
    char32_t point = random() % limit;
    if (point < 0xD800 || point > 0xDFFF) ll::append_utf8(text, point);
    if (random() % 8 == 0) text += ' ';
  }
  return text;
}

}  // namespace

TEST_CASE("texts encode and decode as in Hugging Face's tokenizers") {
  check_golden(qwen25(), "qwen2.5");
  check_golden(tiny_docs(), "tiny-qwen2-docs");
}

TEST_CASE("random Unicode encodes as in Hugging Face's tokenizers") {
  for (const Json& entry : ll::test::golden("unicode")) {
    std::string text = entry["text"];
    CAPTURE(text);
    CHECK(qwen25().encode(text) == entry["qwen2.5"].get<Ids>());
    CHECK(tiny_docs().encode(text) == entry["tiny-qwen2-docs"].get<Ids>());
  }
}

TEST_CASE("decode(encode(text)) is the text in Normalisation Form C") {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string text = random_text(random);
    std::string buffer;
    std::string normal(ll::normalize_nfc(text, buffer));
    CHECK(qwen25().decode(qwen25().encode(text), false) == normal);
    CHECK(tiny_docs().decode(tiny_docs().encode(text), true) == normal);
  }
}

TEST_CASE("a word of 100 kB encodes in well under a second") {
  std::mt19937 random(11);
  std::string word(100'000, 'a');
  CHECK(seconds_of([&] { qwen25().encode(word); }) < 2);
  for (char& c : word) c = char('a' + random() % 26);
  CHECK(seconds_of([&] { CHECK(qwen25().decode(qwen25().encode(word), false) == word); }) < 2);
}

TEST_CASE("text that is not UTF-8 is refused with the offset of its byte") {
  auto error = [](std::string_view text) {
    return ll::test::error_of([&] { tiny_docs().encode(text); });
  };
  starts_with(error("abc\xff"), "text to tokenize: byte 3 is not valid UTF-8");
  starts_with(error("é\xed\xa0\x80"), "text to tokenize: byte 2 ");
  starts_with(error("\xc0\xaf"), "text to tokenize: byte 0 ");
  starts_with(error("ok \xf0\x9f\x98"), "text to tokenize: byte 3 ");
  CHECK(error("\xf4\x8f\xbf\xbf") == "");
}

TEST_CASE("special tokens, names and ids") {
  const Tokenizer& t = qwen25();
  CHECK(t.vocab_size() == 151665);
  CHECK(t.id_of("<|im_end|>") == 151645);
  CHECK(t.id_of("Ġthe") == 279);
  CHECK(t.id_of(" the") == std::nullopt);
  CHECK(t.id_of("\xff") == std::nullopt);
  CHECK(t.id_of("") == std::nullopt);
  CHECK(t.is_special(151645));
  CHECK_FALSE(t.is_special(151657));  // <tool_call> is added, but not special
  CHECK_FALSE(t.is_special(-1));
  CHECK_FALSE(t.is_special(151935));
  CHECK(t.token_bytes(279) == " the");
  CHECK(t.token_bytes(151645) == "<|im_end|>");
  CHECK(t.token_bytes(151935) == "");
  CHECK(t.encode("a<|im_end|>b") == Ids{64, 151645, 65});
}

TEST_CASE("decode leaves out special tokens on demand, and ids without a token always") {
  Ids ids = {9707, 151645, 151665, 151935, -5, INT32_MAX, 0};
  CHECK(qwen25().decode(ids, false) == "Hello<|im_end|>!");
  CHECK(qwen25().decode(ids, true) == "Hello!");
  CHECK(qwen25().decode({}, true) == "");
}

TEST_CASE("broken bytes decode to one U+FFFD for each maximal subpart") {
  Tokenizer t = load(small_json());
  auto decode = [&](std::string_view bytes) {
    Ids ids;
    for (char c : bytes) ids.push_back(static_cast<unsigned char>(c));
    return t.decode(ids, false);
  };
  std::string r = "\uFFFD";
  CHECK(decode("a\xff"
               "b") == "a" + r + "b");
  CHECK(decode("\xe4\xbd") == r);
  CHECK(decode("\xe4\xbdz") == r + "z");
  CHECK(decode("\xf0\x9f\x98\xf0\x9f\x98\x80") == r + "😀");
  CHECK(decode("\xed\xa0\x80") == r + r + r);
  CHECK(decode("\xe0\x80\x80") == r + r + r);
  CHECK(decode("\xf4\x90\x80\x80") == r + r + r + r);
  CHECK(decode("\xc1\xbf\x80") == r + r + r);
}

TEST_CASE("merges are strings or pairs") {
  Json json = small_json();
  Ids ids = load(json).encode("hello hello hell");
  CHECK(ids == Ids{259, 260, ' ', 258});
  json["model"]["merges"] =
      Json::parse(R"([["h","e"],["l","l"],["he","ll"],["hell","o"],["Ġ","hello"]])");
  CHECK(load(json).encode("hello hello hell") == ids);
}

TEST_CASE("ignore_merges takes a word that is a token as it is") {
  Json json = small_json();
  json["model"]["merges"] = Json::array({"h e"});
  CHECK(load(json).encode("hello").size() == 4);
  json["model"]["ignore_merges"] = true;
  CHECK(load(json).encode("hello") == Ids{259});
  CHECK(load(json).encode("hellos").size() == 5);
}

TEST_CASE("a pre-tokenizer of ByteLevel alone cuts with GPT-2's expression") {
  Json json = small_json();
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  json["normalizer"] = nullptr;
  Tokenizer t = load(json);
  CHECK(t.encode("hello hello") == Ids{259, 260});
  CHECK(t.decode(t.encode("e\u0301 123's"), false) == "e\u0301 123's");
}

TEST_CASE("added tokens: the longest of those that begin first") {
  Json json = small_json();
  json["added_tokens"] = {added("<a", 261), added("<a><b>", 262),
                          added("<b>", 263, {{"special", true}})};
  Tokenizer t = load(json);
  CHECK(t.encode("<a><b><b><a>") == Ids{262, 263, 261, '>'});
  CHECK(t.decode(Ids{262, 263, 261}, true) == "<a><b><a");
  CHECK(t.vocab_size() == 264);
}

TEST_CASE("added tokens: white space around them, whole words, normalised text") {
  Json json = small_json();
  json["added_tokens"] = {
      added("<l>", 261, {{"lstrip", true}}),          added("<r>", 262, {{"rstrip", true}}),
      added("word", 263, {{"single_word", true}}),    added("\u00e9x", 264, {{"normalized", true}}),
      added("e\u0301y", 265, {{"normalized", true}}), added("e\u0301z", 266)};
  Tokenizer t = load(json);
  CHECK(t.encode("a \n\u3000<l> b") == Ids{'a', 261, ' ', 'b'});
  CHECK(t.encode("a <r> \u00a0b") == Ids{'a', ' ', 262, 'b'});
  CHECK(t.encode("<r>  <l>") == Ids{262, 261});
  CHECK(t.encode("word-word") == Ids{263, '-', 263});
  CHECK(t.encode("xword").size() == 5);
  CHECK(t.encode("word\u0661").size() == 6);
  CHECK(t.encode("e\u0301x") == Ids{264});
  CHECK(t.encode("\u00e9y") == Ids{265});
  CHECK(t.encode("e\u0301z") == Ids{266});
  CHECK(t.encode("\u00e9z").size() == 3);
}

TEST_CASE("an added token of the vocabulary keeps its id") {
  Json json = small_json();
  json["added_tokens"] = Json::array({added("hello", 259, {{"special", true}})});
  Tokenizer t = load(json);
  CHECK(t.encode("xhello") == Ids{'x', 259});
  CHECK(t.decode(Ids{259}, true) == "");
  json["added_tokens"] = Json::array({added("hello", 300)});
  starts_with(refusal(json), "t.json: added token 'hello' and its id 300 do not agree");
  json["added_tokens"] = Json::array({added("x y", 300)});
  starts_with(refusal(json), "t.json: added token 'x y' has the id 300, but is not in model.vocab");
  json["added_tokens"] = Json::array({added("other", 259)});
  starts_with(refusal(json), "t.json: added token 'other' and its id 259 do not agree");
}

TEST_CASE("a post-processor's tokens stand around a text only when asked for") {
  Json json = small_json();
  json["added_tokens"] = {added("<s>", 261, {{"special", true}}),
                          added("</s>", 262, {{"special", true}})};
  auto special = [](const char* name) { return Json{{"SpecialToken", {{"id", name}}}}; };
  Json text = {{"Sequence", {{"id", "A"}}}};
  Json tokens = {{"<s>", {{"ids", {261}}}}, {"</s>", {{"ids", {262, 'x'}}}}};
  Json both = {{"type", "TemplateProcessing"},
               {"single", {special("<s>"), text, special("</s>")}},
               {"special_tokens", tokens}};
  json["post_processor"] = both;
  CHECK(load(json).encode("hello") == Ids{259});
  CHECK(load(json).encode("hello", true) == Ids{261, 259, 262, 'x'});
  CHECK(load(json).encode("", true) == Ids{261, 262, 'x'});
  Json begin = both;
  begin["single"] = {special("<s>"), text};
  json["post_processor"] = {{"type", "Sequence"},
                            {"processors", {{{"type", "ByteLevel"}}, both, begin}}};
  CHECK(load(json).encode("hello", true) == Ids{261, 261, 259, 262, 'x'});
  both["single"] = {text, special("<unknown>")};
  json["post_processor"] = both;
  starts_with(refusal(json), "t.json: post_processor is {");
}

TEST_CASE("pre-tokenizers split in steps") {
  using Behavior = ll::SplitStep::Behavior;
  using Words = std::vector<std::string>;
  auto words = [](const std::vector<ll::SplitStep>& steps, std::string_view text) {
    Words found;
    ll::RegexBudget budget(text.size());
    ll::WordSplitter(steps, "t").split(text, budget, [&](std::string_view word) {
      found.emplace_back(word);
    });
    return found;
  };
  auto on_l = [&](Behavior behavior, bool invert = false) {
    return words({{.regex = "l", .behavior = behavior, .invert = invert}}, "hello");
  };
  CHECK(on_l(Behavior::kIsolated) == Words{"he", "l", "l", "o"});
  CHECK(on_l(Behavior::kRemoved) == Words{"he", "o"});
  CHECK(on_l(Behavior::kRemoved, true) == Words{"l", "l"});
  CHECK(on_l(Behavior::kContiguous) == Words{"he", "ll", "o"});
  CHECK(on_l(Behavior::kMergedWithPrevious) == Words{"hel", "l", "o"});
  CHECK(on_l(Behavior::kMergedWithNext) == Words{"he", "l", "lo"});
  CHECK(words({{.regex = " ", .behavior = Behavior::kRemoved}, {.prefix_space = true}}, "a bc") ==
        Words{" a", " bc"});
  CHECK(words({{.regex = " "}, {.regex = "b"}}, "abc b") == Words{"a", "b", "c", " ", "b"});
}

TEST_CASE("a tokenizer.json of another kind is refused by key and value") {
  starts_with(refusal("/model/type", "Unigram"), "t.json: model.type is \"Unigram\", which");
  starts_with(refusal("/normalizer", {{"type", "NFKC"}}),
              "t.json: normalizer is {\"type\": \"NFKC\"},");
  starts_with(refusal("/pre_tokenizer", nullptr), "t.json: pre_tokenizer is missing");
  starts_with(refusal("/pre_tokenizer/type", "Digits"),
              "t.json: pre_tokenizer is {\"type\": \"Digits\"");
  starts_with(refusal("/pre_tokenizer/pretokenizers/0/behavior", "Other"),
              "t.json: pre_tokenizer is");
  starts_with(refusal("/pre_tokenizer/pretokenizers/0/pattern", {{"String", ""}}),
              "t.json: pre_tokenizer is");
  starts_with(refusal("/pre_tokenizer/pretokenizers/1/type", "Whitespace"),
              "t.json: pre_tokenizer is");
  starts_with(refusal("/decoder", nullptr), "t.json: decoder is missing");
  starts_with(refusal("/decoder/type", "WordPiece"), "t.json: decoder is");
  starts_with(refusal("/post_processor", {{"type", "TemplateProcessing"}}),
              "t.json: post_processor is");
  starts_with(refusal("/model/dropout", 0.1), "t.json: model.dropout is 0.1,");
  CHECK(refusal("/model/byte_fallback", true) == "");  // no byte lacks a token
  starts_with(refusal("/model/byte_fallback", 1), "t.json: byte_fallback is 1,");
  starts_with(refusal("/model/end_of_word_suffix", "</w>"),
              "t.json: end_of_word_suffix is \"</w>\",");
  CHECK(refusal("/model/end_of_word_suffix", "") == "");
  CHECK(refusal("/padding", {{"length", 8}}) == "");  // as transformers: not unless a call asks
}

TEST_CASE("a broken tokenizer.json is refused with one line") {
  starts_with(ll::test::error_of([] { Tokenizer::from_json("", "t.json"); }),
              "t.json: not valid JSON at byte ");
  starts_with(ll::test::error_of([] { Tokenizer::from_json("{\"a\":\n\n", "t.json"); }),
              "t.json: not valid JSON at byte ");
  starts_with(ll::test::error_of([] { Tokenizer::from_json("[1]", "t.json"); }),
              "t.json: not a tokenizer.json");
  starts_with(ll::test::error_of([] { Tokenizer::from_json(std::string(100'000, '['), "t.json"); }),
              "t.json: JSON nested deeper than 256 levels");
  starts_with(refusal("/model", 3), "t.json: model is 3,");
  starts_with(refusal("/model/vocab", nullptr), "t.json: model.vocab is missing");
  starts_with(refusal("/model/vocab", Json::object()),
              "t.json: model.vocab has no token for byte 0x00");
  starts_with(refusal("/model/vocab/hello", -1), "t.json: token 'hello' has the id -1:");
  starts_with(refusal("/model/vocab/hello", "x"), "t.json: token 'hello' has the id \"x\":");
  starts_with(refusal("/model/vocab/hello", 3), "t.json: id 3 belongs to two tokens");
  starts_with(refusal("/model/vocab/hello", 2'000'000'000),
              "t.json: token id 2000000000 is far above");
  starts_with(refusal("/model/merges", "a b"),
              "t.json: model.merges is missing or of another kind");
  for (const Json& merge : {Json("he"), Json("h e l"), Json(3), Json({"h"}), Json({"h", 1})})
    starts_with(refusal("/model/merges/0", merge), "t.json: model.merges is ");
  starts_with(refusal("/model/merges/0", "h x"),
              "t.json: model.merges has \"h x\", but model.vocab");
  starts_with(refusal("/added_tokens", 1), "t.json: added_tokens is 1,");
  starts_with(refusal("/added_tokens/0", added("", 300)), "t.json: added_tokens is {");
  starts_with(refusal("/added_tokens/0", {{"content", "x"}}), "t.json: added_tokens is {");
  starts_with(refusal("/added_tokens/0", added("x", 300, {{"lstrip", "yes"}})),
              "t.json: lstrip is \"yes\"");
}

TEST_CASE("threads share one tokenizer") {
  Tokenizer t = load(small_json());
  std::string text = "hello hell he ll hello";
  Ids ids = load(small_json()).encode(text);
  std::vector<std::thread> threads;
  std::vector<int> equal(4);
  for (int& count : equal) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) count += t.encode(text) == ids;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(equal == std::vector<int>(4, 200));
}
