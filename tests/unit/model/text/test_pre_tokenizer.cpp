#include "model/text/pre_tokenizer.h"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "base/utf8.h"
#include "model/text/pre_tokenizer_unicode.h"
#include "tests/unit/model/text/tokenizer_data.h"

namespace {

using Words = std::vector<std::string>;

const std::string kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char32_t kNumCodePoints = 0x110000;

bool is_surrogate(char32_t point) { return point >= 0xD800 && point <= 0xDFFF; }

std::string utf8(char32_t point) {
  std::string text;
  ll::append_utf8(text, point);
  return text;
}

Words split(const ll::PreTokenizer& pre_tokenizer, std::string_view text) {
  Words words;
  ll::RegexBudget budget(text.size());
  pre_tokenizer.split(text, budget, [&](std::string_view word, bool) { words.emplace_back(word); });
  return words;
}

Words split(std::string_view text) { return split(ll::PreTokenizer(kQwen2Regex, "test"), text); }

std::string nfc(std::string_view text) {
  std::string buffer;
  return std::string(ll::normalize_nfc(text, buffer));
}

std::string regex_refusal(std::string_view regex) {
  return ll::test::error_of([&] { ll::PreTokenizer(regex, "x.json"); });
}

// Sets of code points, measured with Hugging Face's `tokenizers`: pairs of first and last.
std::vector<bool> golden_class(const std::string& name) {
  static const nlohmann::ordered_json classes = ll::test::golden("classes");
  std::vector<size_t> ends = classes.at(name);
  std::vector<bool> members(kNumCodePoints);
  for (size_t i = 0; i < ends.size(); i += 2) {
    std::fill(members.begin() + ptrdiff_t(ends[i]), members.begin() + ptrdiff_t(ends[i + 1]) + 1,
              true);
  }
  return members;
}

// The characters of a class C: asks "C!|!" about "c!", one word when c is in it, two when it is
// not.
std::vector<bool> our_class(const std::string& regex) {
  std::string text;
  for (char32_t c = 0; c < kNumCodePoints; ++c)
    if (!is_surrogate(c)) text += utf8(c) + "!";
  std::vector<bool> members(kNumCodePoints);
  ll::PreTokenizer pre_tokenizer(regex + "!|!", "test");
  ll::RegexBudget budget(text.size());
  pre_tokenizer.split(text, budget, [&](std::string_view word, bool) {
    size_t pos = 0;
    char32_t point = ll::next_code_point(word, pos);
    if (pos < word.size()) members[point] = true;
  });
  return members;
}

}  // namespace

TEST_CASE("the classes of the Qwen2 pattern hold the code points of Hugging Face's") {
  for (const char* name : {R"(\p{L})", R"(\p{N})", R"(\s)", "(?i:s)", "(?i:t)", "(?i:r)", "(?i:e)",
                           "(?i:v)", "(?i:m)", "(?i:l)", "(?i:d)"}) {
    CAPTURE(name);
    CHECK(our_class(name) == golden_class(name));
  }
}

TEST_CASE("normalisation moves and joins the marks that Hugging Face's moves and joins") {
  std::vector<bool> wanted = golden_class("nfc");
  size_t wrong = 0;
  for (char32_t c = 1; c < kNumCodePoints; ++c) {
    if (is_surrogate(c)) continue;
    std::string after = fmt::format("a\u0345{}", utf8(c));
    std::string before = fmt::format("a{}\u0334", utf8(c));
    bool changes = nfc(after) != after || nfc(before) != before;
    if (changes != wanted[c]) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("normalisation composes, orders and decomposes") {
  CHECK(nfc("") == "");
  CHECK(nfc("plain") == "plain");
  CHECK(nfc("e\u0301") == "\u00e9");
  CHECK(nfc("xe\u0301\u0323y") == "x\u1eb9\u0301y");
  CHECK(nfc("\u1100\u1161\u11a8") == "\uac01");
  CHECK(nfc("\uac00\u11a7") == "\uac00\u11a7");  // utf8proc 2.8 drops U+11A7
  CHECK(nfc("\u212b\u2126\u0958") == "\u00c5\u03a9\u0915\u093c");
  CHECK(nfc("\u0301a") == "\u0301a");
  CHECK(nfc(">\u0338") == "\u226f");
}

TEST_CASE("normalisation returns the text itself when nothing changes") {
  std::string text = "Zürich, 서울, 😀, Việt";
  std::string buffer;
  CHECK(ll::normalize_nfc(text, buffer).data() == text.data());
}

TEST_CASE("normalisation of a long run of unordered marks is quick") {
  std::string text = "a";
  for (int i = 0; i < 200'000; ++i) text += "\u0301\u0323";
  std::string normal = nfc(text);
  CHECK(normal.size() == text.size() + 3 - 1 - 2);  // U+1EA1 for a and U+0323
  CHECK(nfc(normal) == normal);
}

TEST_CASE("the Qwen2 pattern cuts as documented") {
  CHECK(split("") == Words{});
  CHECK(split("Hello world's") == Words{"Hello", " world", "'s"});
  CHECK(split("it'ſ we'LL") == Words{"it", "'ſ", " we", "'LL"});
  CHECK(split("12 3") == Words{"1", "2", " ", "3"});
  CHECK(split("a  b\n\n  c") == Words{"a", " ", " b", "\n\n", " ", " c"});
  CHECK(split(" !?\r\n x ") == Words{" !?\r\n", " x", " "});
  CHECK(split("\u180ea") == Words{"\u180ea"});
  CHECK(split(" \u180e!") == Words{" \u180e!"});  // not white space since Unicode 6.3
}

TEST_CASE("text between matches is a word") {
  ll::PreTokenizer pre_tokenizer("b+", "test");
  CHECK(split(pre_tokenizer, "aabbcb") == Words{"aa", "bb", "c", "b"});
  CHECK(split(pre_tokenizer, "xyz") == Words{"xyz"});
}

TEST_CASE("the words of random text, joined, are the text") {
  std::mt19937 random(1);
  ll::PreTokenizer pre_tokenizer(kQwen2Regex, "test");
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      char32_t point = random() % (round % 2 ? 0x250 : kNumCodePoints);
      if (!is_surrogate(point)) text += utf8(point);
    }
    std::string joined;
    ll::RegexBudget budget(text.size());
    pre_tokenizer.split(text, budget, [&](std::string_view word, bool) { joined += word; });
    CHECK(joined == text);
  }
}

TEST_CASE("runs of megabytes are one word") {
  ll::PreTokenizer pre_tokenizer(kQwen2Regex, "test");
  for (const char* unit : {"a", " ", "\n", "!", "é", "\u3000"}) {
    std::string text;
    while (text.size() < 10'000'000) text += unit;
    CHECK(split(pre_tokenizer, text).size() == 1);
  }
}

TEST_CASE("expressions that PCRE2 reads in another way are refused by name") {
  for (const char* regex :
       {R"(\w+)",  R"(\d)", R"(\h)",  R"(\p{Greek})", R"(\P{L})", R"([\S])",  "a.b",
        "^a",      "a$",    "[a[b]]", "[a&&b]",       "[]a]",     "(?<n>a)",  "(?<=a)b",
        "(*UTF)a", R"(\1)", R"(a\)",  "a{1}+",        "a{,2}",    R"([\s-a])"}) {
    CAPTURE(regex);
    CHECK(regex_refusal(regex).find("x.json: the regular expression has '") == 0);
  }
  CHECK(regex_refusal("(a").find("x.json: the regular expression '(a' is broken: ") == 0);
  CHECK(regex_refusal("a*").find("matches the empty text") != std::string::npos);
  CHECK(regex_refusal(std::string(5000, 'a')).find("5000 bytes") != std::string::npos);
}

TEST_CASE("an expression that backtracks without bound ends in an error") {
  ll::PreTokenizer bomb("(a+)+[bc]", "x.json");
  std::string error = ll::test::error_of([&] { split(bomb, std::string(60, 'a')); });
  CHECK(error == "x.json: the regular expression takes too many steps on a text of 60 bytes");
}

TEST_CASE("an expression that looks far ahead at every place ends in an error") {
  ll::PreTokenizer quadratic("x(?=[^z]*z)|x", "x.json");
  std::string error = ll::test::error_of([&] { split(quadratic, std::string(1'000'000, 'x')); });
  CHECK(error == "x.json: the regular expression takes too many steps on a text of 1000000 bytes");
  CHECK(split(quadratic, std::string(500, 'x')).size() == 500);
}

TEST_CASE("matches are found across the windows they are looked for in") {
  ll::PreTokenizer rare("ab+c", "x.json");
  for (size_t before : {0, 1000, 1022, 1023, 1024, 1025, 5000}) {
    for (size_t run : {1, 1000, 1023, 1024, 4100}) {
      std::string match(run, 'b');
      match.insert(match.begin(), 'a');
      match.push_back('c');
      std::string text = std::string(before, 'x') + match + "\u00e9b";
      Words words = split(rare, text);
      CAPTURE(before);
      CAPTURE(run);
      REQUIRE(words.size() == (before > 0 ? 3 : 2));
      CHECK(words[before > 0 ? 1 : 0] == match);
    }
  }
}
