#pragma once
// A call of a tool, {"name": ..., "arguments": ...}, as far as its text has come. Members come in
// any order; positions are kNowhere where the text does not reach yet.
#include <optional>
#include <string>
#include <string_view>

namespace ll {

class CallReader {
 public:
  static constexpr size_t kNowhere = std::string_view::npos;

  // The text that was given before, and more: reads on where it stopped.
  void read(std::string_view text);

  std::optional<std::string> name;
  size_t arguments = kNowhere, arguments_end = kNowhere;  // a value of JSON, as it was written
  size_t end = kNowhere;                                  // of the object
  bool is_broken = false;

 private:
  enum class State { kBegin, kKey, kInKey, kColon, kValue, kInValue, kNext };

  bool advance(std::string_view text);
  void begin_value(State state);
  bool pass_value(std::string_view text);
  void take_value(std::string_view value);
  bool is_arguments() const { return key_ == "arguments" || key_ == "parameters"; }

  State state_ = State::kBegin;
  size_t at_ = 0;     // read so far
  size_t begin_ = 0;  // of the key or value that is being read
  int depth_ = 0;     // of brackets within it
  bool is_quoted_ = false, is_escaped_ = false;
  std::string key_;
};

}  // namespace ll
