#include "base/json_tree.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("JSON trees: what is wrong, where, and what to do") {
  struct {
    std::string_view text, error;
  } cases[] = {
      {R"({"a": 1)", "at byte 8: it is cut off, or goes on in another line"},
      {"", "at byte 1: it is cut off, or goes on in another line"},
      {R"([{"a": 1},)",
       "at byte 11: it is cut off, or a list: write it one value a line, as jq -c '.[]' does"},
      {R"({"a": NaN})", "at byte 7: there is no NaN and no Infinity in JSON: leave it out"},
      {R"({"a": -Infinity})", "at byte 8: there is no NaN and no Infinity in JSON: leave it out"},
      {"{'a': 1}", "at byte 2: this is how Python prints it: write it with json.dumps"},
      {R"({"a": None})", "at byte 7: this is how Python prints it: write it with json.dumps"},
      {R"({"a": True})", "at byte 7: this is how Python prints it: write it with json.dumps"},
      {"{\"a\": \"\1\"}",
       R"(at byte 8: control characters in a string are written as \n or \u0001)"},
      {"{}{}", "at byte 3: there is something behind the value"},
      {R"({"a": 1,})", "at byte 9: write or fetch it again"},
      {"x", "at byte 1: write or fetch it again"},
      {R"("\ud800")",
       "t: the \\u escape before byte 8 is half of a surrogate pair, which is no "
       "Unicode character: write both halves"},
      {"\"\xff\"", "t: byte 2 is not valid UTF-8: write the text in UTF-8"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    std::string wanted(c.error);
    if (wanted.starts_with("at")) wanted = "t: not valid JSON " + wanted;
    CHECK(error_of([&] { JsonTree::parse(c.text, "t"); }) == wanted);
  }
}
