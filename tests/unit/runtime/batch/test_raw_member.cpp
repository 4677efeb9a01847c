#include "runtime/batch/raw_member.h"

#include <doctest/doctest.h>

#include <string>

using ll::raw_member;

TEST_CASE("raw member: values as they stand") {
  std::string_view text =
      R"( { "a" : 1.5e3,"b":"x\"}, y\\", "c": [1, {"d": "]"}, []] , "e":{"b": 2}, "b": 3, "f": null})";
  CHECK(raw_member(text, "a") == "1.5e3");
  CHECK(raw_member(text, "b") == R"("x\"}, y\\")");
  CHECK(raw_member(text, "c") == R"([1, {"d": "]"}, []])");
  CHECK(raw_member(text, "e") == R"({"b": 2})");
  CHECK(raw_member(text, "f") == "null");
  CHECK(raw_member(text, "d") == "");
  CHECK(raw_member(raw_member(text, "e"), "b") == "2");
  CHECK(raw_member("{}", "a") == "");
}

TEST_CASE("raw member: what is no object has none") {
  for (const char* text : {"", " ", "x", "[1]", "{", "{a: 1}", "{\"", "{\"a", "{\"a\"",
                           "{\"a\":", "{\"a\": ", "{\"a\":\"\\", "{\"a\":[", "{\"a\":[\"", "{,",
                           "{\"x\":1 \"a\":2}", "{\"x\" 1, \"a\":2}", "{\"a\":1"}) {
    CAPTURE(text);
    CHECK(raw_member(text, "a") == "");
  }
  // Cut anywhere, it is read to its end at most.
  std::string whole = R"({"x": {"y": ["\"", 1]}, "a": "b"})";
  for (size_t i = 0; i < whole.size(); ++i)
    CHECK(raw_member(std::string(whole, 0, i), "a") == (i + 1 == whole.size() ? "\"b\"" : ""));
}
