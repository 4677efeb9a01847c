#include "base/json_fields.h"

#include <doctest/doctest.h>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

namespace {

const JsonTree kTree = JsonTree::parse(
    R"({"n": 5, "x": 0.5, "on": true, "name": "q", "ids": [1, 2], "none": null, "big": 1e300,
        "huge": 123456789012345678901234567890, "deep": {"n": 7}})",
    "test");

std::string error_with(void (*read)(const JsonFields&), const std::string& where = "") {
  return error_of(
      [&] { where.empty() ? read(JsonFields(kTree)) : read(JsonFields(kTree, where)); });
}

}  // namespace

TEST_CASE("JSON fields: values, and what stands for those that are absent or null") {
  JsonFields f(kTree, "a.json");
  CHECK(f.where() == "a.json");
  CHECK(f.integer("n", 0, 9) == 5);
  CHECK(f.integer("n", 5, 5, 1) == 5);
  CHECK(f.integer("none", 0, 9, 3) == 3);
  CHECK(f.integer("absent", 0, 9, 3) == 3);
  CHECK(f.number("x", 0, 1, 9) == 0.5);
  CHECK(f.number("n", 0, 9, 1) == 5);
  CHECK(f.number("big", 0, 1e301, 1) == 1e300);
  CHECK(f.number("none", 0, 1, 9) == 9);
  CHECK(f.flag("on", false));
  CHECK(f.flag("none", true));
  CHECK(f.text("name", "") == "q");
  CHECK(f.text("none", "other") == "other");
  CHECK(f.integers("ids", 0, 2) == std::vector<int64_t>{1, 2});
  CHECK(f.integers("n", 0, 9) == std::vector<int64_t>{5});
  CHECK(f.integers("none", 0, 9).empty());
  CHECK(f.has("n"));
  CHECK(!f.has("none"));
  CHECK(JsonFields(*f.find("deep"), "a.json: deep").integer("n", 0, 9) == 7);
}

TEST_CASE("JSON fields: whole numbers may have a fraction of zero") {
  JsonTree tree = JsonTree::parse(
      R"({"a": 8.0, "b": 8e0, "c": -0.0, "d": 8.5, "e": 9007199254740994.0, "g": "8"})", "test");
  JsonFields f(tree);
  CHECK(f.integer("a", 8, 8) == 8);
  CHECK(f.integer("b", 8, 8) == 8);
  CHECK(f.integer("c", 0, 0) == 0);
  CHECK(f.integers("a", 0, 9) == std::vector<int64_t>{8});
  for (const char* name : {"d", "e", "g"})
    CHECK(error_of([&] { f.integer(name, INT64_MIN, INT64_MAX, 1); }).find("whole number") !=
          std::string::npos);
  CHECK(!whole_number_of(*tree.find("e")));
}

TEST_CASE("JSON fields: errors name the field and the value") {
  CHECK(error_with([](const JsonFields& f) { f.integer("n", 6, 9, 6); }) ==
        "n: 5 is not a whole number from 6 to 9");
  CHECK(error_with([](const JsonFields& f) { f.integer("name", 6, 9, 6); }) ==
        "name: \"q\" is not a whole number");
  CHECK(error_with([](const JsonFields& f) { f.integer("huge", 0, INT64_MAX, 0); }) ==
        "huge: 123456789012345678901234567890 is not a whole number from 0 to "
        "9223372036854775807");
  CHECK(error_with([](const JsonFields& f) { f.integers("ids", 2, 9); }) ==
        "ids: 1 is not a whole number from 2 to 9");
  CHECK(error_with([](const JsonFields& f) { f.number("x", 1, 2, 1); }) ==
        "x: 0.5 is outside 1 to 2");
  CHECK(error_with([](const JsonFields& f) { f.number("on", 1, 2, 1); }) ==
        "on: true is not a number");
  CHECK(error_with([](const JsonFields& f) { f.flag("n", true); }) ==
        "n: 5 is neither true nor false");
  CHECK(error_with([](const JsonFields& f) { f.text("ids", ""); }) ==
        "ids: [1, 2] is not a string");
}

TEST_CASE("JSON fields: errors begin with the place, where one is given") {
  CHECK(error_with([](const JsonFields& f) { f.text("n", ""); }, "a.json") ==
        "a.json: n: 5 is not a string");
  CHECK(error_with([](const JsonFields& f) { f.number("name", 0, 1, 0); }, "a.json") ==
        "a.json: name: \"q\" is not a number");
  CHECK(error_with([](const JsonFields& f) { f.integer("absent", 1, 9); }, "a.json") ==
        "a.json: absent is missing: must be a whole number from 1 to 9");
  CHECK(error_with([](const JsonFields& f) { f.refuse("name", "only {} will do", "r"); },
                   "a.json") == "a.json: name is \"q\": only r will do");
  CHECK(error_of([] { JsonFields(*kTree.find("ids"), "a.json: ids"); }) ==
        "a.json: ids: is not a JSON object");
}

TEST_CASE("JSON fields: one that nobody read is named, with its neighbour") {
  JsonTree tree = JsonTree::parse(R"({"max_tokens": 1, "max_token": 2, "user": "u"})", "test");
  JsonFields f(tree);
  f.integer("max_tokens", 0, 9, 0);
  f.ignore({"user"});
  CHECK(error_of([&] { f.check_all_read(); }) ==
        "unknown field max_token; did you mean max_tokens?");
  f.has("max_token");
  CHECK(error_of([&] { f.check_all_read(); }).empty());
}
