#include "runtime/api/text_output.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/runtime/api/tiny_tokens.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Outcome {
  std::string text;
  size_t num_tokens = 0;  // pushed until a stop string was complete
  bool is_stopped = false;
};

Outcome run(const std::vector<int32_t>& ids, const TextParams& params, int32_t min_tokens = 0) {
  TextOutput output(&tiny_docs(), params, min_tokens);
  Outcome o;
  std::string settled;
  for (int32_t id : ids) {
    ++o.num_tokens;
    bool has_stopped = output.push(id);
    settled += output.take_settled();
    if (has_stopped) break;
  }
  output.finish();
  settled += output.take_settled();
  o.text = output.text();
  CHECK(settled == o.text);  // what was once said is never taken back
  o.is_stopped = output.is_stopped();
  return o;
}

TextParams stops(std::vector<std::string> list) {
  TextParams p;
  p.stop = std::move(list);
  return p;
}

}  // namespace

TEST_CASE("without stop strings the text is the tokens'") {
  std::string text = "MPI ranks share a page, naïvely: 火 and 🦊.";
  Outcome o = run(encode(text), {});
  CHECK(o.text == text);
  CHECK(!o.is_stopped);
}

TEST_CASE("a stop string ends the text, within a token and over several") {
  for (const auto& ids : {encode("one two three four"), bytes_of("one two three four")}) {
    Outcome o = run(ids, stops({"three"}));
    CHECK(o.text == "one two ");
    CHECK(o.is_stopped);
    CHECK(o.num_tokens < ids.size());
    CHECK(run(ids, stops({"o t"})).text == "one tw");
    CHECK(run(ids, stops({"fours"})).text == "one two three four");
    CHECK(!run(ids, stops({"fours"})).is_stopped);
  }
  // The last token that counts is the one that completes it.
  CHECK(run(bytes_of("abcdef"), stops({"bcd"})).num_tokens == 4);
}

TEST_CASE("the earliest of several stop strings") {
  auto ids = bytes_of("alpha beta gamma");
  CHECK(run(ids, stops({"gamma", "beta", "alphabet"})).text == "alpha ");
  CHECK(run(ids, stops({"a b", "pha beta"})).text ==
        "alph");  // complete first, though it begins later
  // Complete with the same token: the one that begins first.
  CHECK(run(ids, stops({"a b", "pha b"})).text == "al");
  CHECK(run(encode("alpha beta gamma"), stops({"mm", "gam"})).text == "alpha beta ");
}

TEST_CASE("a stop string may stay in the text") {
  TextParams p = stops({"two"});
  p.include_stop_str_in_output = true;
  CHECK(run(encode("one two three"), p).text == "one two");
  CHECK(run(bytes_of("one two three"), p).text == "one two");
}

TEST_CASE("before min_tokens stop strings count for nothing") {
  TextParams p = stops({"b"});
  auto ids = bytes_of("abcabcabc");
  CHECK(run(ids, p, 2).text == "a");     // the second token completes it, which is enough
  CHECK(run(ids, p, 3).text == "abca");  // only one that ends in a later token counts
  CHECK(run(ids, p, 3).num_tokens == 5);
  CHECK(run(ids, p, 9).text == "abcabcabc");
}

TEST_CASE("bytes that are no character yet wait for the rest, or for the end") {
  std::string fox = "🦊";
  auto ids = bytes_of("x" + fox);
  REQUIRE(ids.size() == 5);
  TextParams params;
  TextOutput output(&tiny_docs(), params, 0);
  for (size_t i = 0; i < 4; ++i) {
    output.push(ids[i]);
    CHECK(output.text() == "x");
  }
  output.push(ids[4]);
  CHECK(output.text() == "x" + fox);
  ids.pop_back();
  Outcome cut = run(ids, {});
  CHECK(cut.text == "x\xEF\xBF\xBD");
  // What only the end brings is searched as well.
  Outcome o = run(ids, stops({"\xEF\xBF\xBD"}));
  CHECK(o.text == "x");
  CHECK(o.is_stopped);
}

TEST_CASE("the beginning of what may become a stop string is held back") {
  TextParams params = stops({"<end>", "nd?"});
  TextOutput output(&tiny_docs(), params, 0);
  std::vector<std::string> pieces;
  for (int32_t id : bytes_of("a<e<en!<end?")) {
    output.push(id);
    pieces.push_back(output.take_settled());
  }
  CHECK(pieces ==
        std::vector<std::string>{"a", "", "", "<e", "", "", "<en!", "", "", "", "", "<e"});
  CHECK(output.is_stopped());
}

TEST_CASE("special tokens are skipped unless they are wanted") {
  int32_t special = tiny_docs().id_of("<|im_end|>").value();
  auto ids = encode("a b");
  ids.push_back(special);
  TextParams p;
  CHECK(run(ids, p).text == "a b");
  p.skip_special_tokens = false;
  CHECK(run(ids, p).text == "a b<|im_end|>");
  p.stop = {"<|im_end|>"};
  CHECK(run(ids, p).text == "a b");
}

TEST_CASE("without a tokenizer the text stays empty") {
  TextParams p;
  TextOutput output(nullptr, p, 0);
  CHECK(!output.push(5));
  output.finish();
  CHECK(output.text().empty());
}

TEST_CASE("random texts and stops: as a search over the whole text finds them") {
  std::mt19937 rng(3);
  auto random_text = [&](size_t longest) {
    std::string text(1 + rng() % longest, 'a');
    for (char& c : text) c = static_cast<char>('a' + rng() % 3);
    return text;
  };
  for (int round = 0; round < 2000; ++round) {
    std::string text = random_text(60);
    TextParams p = stops({random_text(4), random_text(4)});
    auto ids = round % 2 ? bytes_of(text) : encode(text);
    Outcome o = run(ids, p);
    size_t first = std::min(text.find(p.stop[0]), text.find(p.stop[1]));
    CAPTURE(text);
    CAPTURE(p.stop[0]);
    CAPTURE(p.stop[1]);
    REQUIRE(o.is_stopped == (first != std::string::npos));
    REQUIRE(text.starts_with(o.text));
    REQUIRE(o.text.find(p.stop[0]) == std::string::npos);
    REQUIRE(o.text.find(p.stop[1]) == std::string::npos);
    if (!o.is_stopped) REQUIRE(o.text == text);
  }
}

TEST_CASE("a special token's text ends an answer, whether or not special tokens are skipped") {
  auto ids = encode("one two<|im_end|>three<|im_start|>four");
  auto of = [](std::vector<std::string> list) {
    TextParams p = stops(list);
    p.special_stops = std::move(list);
    return p;
  };
  Outcome o = run(ids, of({"<|im_end|>"}));
  CHECK(o.text == "one two");
  CHECK(o.is_stopped);
  CHECK(o.num_tokens == encode("one two").size() + 1);
  CHECK(run(ids, of({"<|im_start|>"})).text == "one twothree");
  CHECK(run(ids, of({"wo<|im_end|>th"})).text == "one t");
  CHECK(run(ids, of({"<|im_end|>three<|im_start|>f"})).text == "one two");
  CHECK(run(ids, of({"e<|im_start|>"})).text == "one twothre");
  CHECK(run(ids, of({"three<|im_end|>"})).text == "one twothreefour");
  CHECK(run(ids, of({"<|im_start|>", "thr"})).text == "one two");
  auto bytes = bytes_of("ab");
  bytes.insert(bytes.begin() + 1, 8002);
  CHECK(run(bytes, of({"a<|im_end|>b"})).text == "");
  CHECK(run(bytes, of({"a<|im_end|>bc"})).text == "ab");
  TextParams kept = of({"o<|im_end|>"});
  kept.include_stop_str_in_output = true;
  CHECK(run(ids, kept).text == "one two<|im_end|>");
  TextParams shown = of({"<|im_start|>"});
  shown.skip_special_tokens = false;
  CHECK(run(ids, shown).text == "one two<|im_end|>three");
  CHECK(run(ids, of({"<|im_end|>"}), 6).is_stopped == (encode("one two").size() + 1 >= 6));
}
