#include "runtime/batch/journal/json_shape.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/batch/batch_envelope.h"

using namespace ll;

namespace {

std::vector<std::string> records() {
  return {batch_record(
              7, "a",
              R"({"choices":[{"text":"x \"y\" \\ {z","logprobs":null}],"usage":{"n":-1.5e+9}})"),
          batch_record(123, "b", R"({"empty":{},"list":[[],[1,true,false]],"c":"\u00e4"})"),
          batch_error_record(9, "", "bad")};
}

}  // namespace

TEST_CASE("shape: whole objects") {
  for (const std::string& r : records()) CHECK(is_whole_object(r));
  for (const char* text : {"{}", R"({"a":[]})", R"({ "a" : [ 1, 2.5, -3e7, null ] })"})
    CHECK(is_whole_object(text));
}

TEST_CASE("shape: what is none") {
  for (std::string text : {"",
                           "{",
                           "}",
                           "[]",
                           "1",
                           "{}{}",
                           "{} x",
                           R"({"a"})",
                           R"({"a":})",
                           R"({"a":1,})",
                           R"({"a":[1,]})",
                           R"({"a":[1 2]})",
                           R"({"a":[1})",
                           R"({a:1})",
                           R"({"a":tru})",
                           R"({"a":-})",
                           R"({"a":1 "b":2})",
                           R"({"a","b"})",
                           R"({"a":"b)",
                           R"({"a":"b\)",
                           "{\"a\":\"\x01\"}",
                           "{\"a\":\n1}"}) {
    CAPTURE(text);
    CHECK_FALSE(is_whole_object(text));
    CHECK_FALSE(is_whole_object(text + std::string(3, '\0')));
  }
}

// What a crash can leave: the beginning of a record, with another one behind it or zeros.
TEST_CASE("shape: cut and spliced records are told from whole ones as a parser tells them") {
  auto accepts = [](const std::string& text) { return nlohmann::json::accept(text); };
  size_t num_wrong = 0;
  for (const std::string& first : records())
    for (size_t cut = 0; cut <= first.size(); ++cut) {
      std::string begin = first.substr(0, cut);
      num_wrong += is_whole_object(begin) != accepts(begin);
      num_wrong += is_whole_object(begin + std::string(first.size() - cut + 1, '\0'));
      for (const std::string& second : records())
        num_wrong += is_whole_object(begin + second) != accepts(begin + second);
    }
  CHECK(num_wrong == 0);
}
