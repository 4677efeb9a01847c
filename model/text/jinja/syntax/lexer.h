#pragma once
// A template's source to tokens, with the white space rules of transformers' environment: line
// feeds behind blocks (trim_blocks) and blanks before them (lstrip_blocks) are gone, as is one line
// feed at the end.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ll::jinja {

class Arena;

struct Token {
  enum class Kind : uint8_t {
    kData,  // text between blocks, never empty
    kPrintBegin,
    kPrintEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,  // its value
    kInteger,
    kFloat,
    kOperator,
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string_view text;
  int line = 1;

  bool is(Kind other) const { return kind == other; }
  bool is(Kind other, std::string_view spelling) const { return kind == other && text == spelling; }
};

// Throws Error with the line where the source is not Jinja. Tokens point into `source`, which is
// valid UTF-8, and into the arena. The last one is kEnd.
std::vector<Token> tokenize(std::string_view source, Arena& arena);

// "\r\n" and "\r" to "\n", and the last one is gone.
std::string normalize_lines(std::string_view source);

[[noreturn]] void fail_at(int line, std::string_view what);

}  // namespace ll::jinja
