#pragma once
// A JSON text as a tree that keeps what nlohmann::json loses: the order of keys and integers of any
// size. Reading and writing take time in proportion to the text, whatever it holds.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ll {

class JsonTree {
 public:
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };
  struct Member;

  // The last value of equal keys stands, at the first one's place. `where` names the text in
  // errors. Throws Error on anything that is not JSON, and on nesting deeper than kMaxDepth.
  static JsonTree parse(std::string_view text, std::string_view where);
  static constexpr size_t kMaxDepth = 256;

  Kind kind = Kind::kNull;
  std::string text;             // a string's value; else the value as Python's json.dumps writes it
  std::vector<Member> members;  // of an array (their keys are empty) or an object

  bool is(Kind other) const { return kind == other; }
  // The member of that name; nullptr when there is none.
  const JsonTree* member(std::string_view key) const;
  // The same, and nullptr where the member is the value null.
  const JsonTree* find(std::string_view key) const;
  std::optional<int64_t> integer() const;

  // What Python's json.dumps(value, ensure_ascii=False) returns.
  std::string python_dump() const;
};

// Python's repr of a float: the shortest digits that read back, plain for 1e-4 <= |value| < 1e16.
std::string python_float(double value);
// The text in quotes, as json.dumps(text, ensure_ascii=False) writes it.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

struct JsonTree::Member {
  std::string key;
  JsonTree value;
};

}  // namespace ll
