#include "runtime/api/token_places.h"

#include <doctest/doctest.h>

#include "tests/unit/runtime/api/tiny_tokens.h"

using namespace ll;
using namespace ll::test;

namespace {

std::vector<int64_t> places_in(const std::string& text, const std::vector<int32_t>& ids,
                               bool skips_special_tokens = false) {
  TokenPlaces places(tiny_docs(), text, skips_special_tokens);
  std::vector<int64_t> list;
  for (int32_t id : ids) list.push_back(places.push(id));
  return list;
}

using List = std::vector<int64_t>;

}  // namespace

TEST_CASE("places: the parts of a character stand where it begins") {
  CHECK(places_in("a\u65e5b", bytes_of("a\u65e5b")) == List{0, 1, 1, 1, 2});
  // One that is never completed is a character of its own.
  CHECK(places_in("a\ufffdb", bytes_of("a\xe6\x97"
                                       "b")) == List{0, 1, 1, 2});
  CHECK(places_in("\ufffd\ufffdb", bytes_of("\x97\xe6"
                                            "b")) == List{0, 1, 2});
}

TEST_CASE("places: pieces of tokens are the text when put together") {
  for (std::string text : {"a\u65e5b", "a\ufffdb", "\ufffd\ufffdb", "a\ufffd"})
    for (const char* bytes : {"a\u65e5b",
                              "a\xe6\x97"
                              "b",
                              "\x97\xe6"
                              "b",
                              "a\xe6"}) {
      std::string whole;
      PlacedTokens all = place_tokens(tiny_docs(), text, false, bytes_of(bytes));
      int64_t place = 0;
      for (const PlacedToken& t : all.tokens) {
        CHECK(t.place >= place);
        place = t.place;
        whole += t.piece;
      }
      CHECK(whole == text);
    }
}

TEST_CASE("places: special tokens count where they are in the text") {
  std::string text = "<|im_start|>a<|im_end|>b";
  std::vector<int32_t> ids = {8001, bytes_of("a")[0], 8002, bytes_of("b")[0]};
  CHECK(places_in(text, ids) == List{0, 12, 13, 23});
  CHECK(places_in("ab", ids, true) == List{0, 0, 1, 1});
  CHECK(places_in("ab", ids) == List{0, 0, 1, 1});  // one that was put in front of a text
}

TEST_CASE("places: tokens behind the end of the text stand at its end") {
  CHECK(places_in("ab", bytes_of("abcd")) == List{0, 1, 2, 2});
  CHECK(places_in("", bytes_of("ab")) == List{0, 0});
}

TEST_CASE("places: of a text that was normalised") {
  std::string text = "cafe\u0301 au lait";
  std::vector<int32_t> ids = encode(text);
  TokenPlaces places(tiny_docs(), text, false);
  int64_t last = 0;
  for (int32_t id : ids) last = places.push(id);
  CHECK(places.length() == 13);
  std::string token(tiny_docs().token_bytes(ids.back()));
  CHECK(text.substr(static_cast<size_t>(last) + 1) == token);  // U+0301 has two bytes
}
