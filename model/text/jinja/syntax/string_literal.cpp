#include "model/text/jinja/syntax/string_literal.h"

#include <string>

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/jinja/syntax/lexer.h"
#include "model/text/jinja/values/arena.h"

namespace ll::jinja {

namespace {

int digit_of(char c, int base) {
  int digit = c >= '0' && c <= '9'   ? c - '0'
              : c >= 'a' && c <= 'f' ? c - 'a' + 10
              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                     : base;
  return digit < base ? digit : -1;
}

class Unescaper {
 public:
  Unescaper(std::string_view literal, int line) : rest_(literal), line_(line) {}

  std::string run() {
    while (!rest_.empty()) {
      size_t plain = std::min(rest_.find('\\'), rest_.size());
      out_ += rest_.substr(0, plain);
      rest_.remove_prefix(plain);
      if (!rest_.empty()) escape();
    }
    return std::move(out_);
  }

 private:
  void escape() {
    constexpr std::string_view kNames = "\\'\"abfnrtv\n", kValues = "\\'\"\a\b\f\n\r\t\v";
    char c = rest_.size() > 1 ? rest_[1] : '\0';
    rest_.remove_prefix(std::min<size_t>(2, rest_.size()));
    if (c == 'x') return code_point(2, c);
    if (c == 'u') return code_point(4, c);
    if (c == 'U') return code_point(8, c);
    if (digit_of(c, 8) >= 0) return octal(static_cast<char32_t>(digit_of(c, 8)));
    if (c == 'N') fail_at(line_, "a string has \\N, which is not supported");
    if (static_cast<unsigned char>(c) >= 0x80) return other_character();
    size_t name = kNames.find(c);
    if (name == kNames.npos) {
      out_ += '\\';
      out_ += c;
    } else if (name < kValues.size()) {  // a line feed behind a backslash is nothing
      out_ += kValues[name];
    }
  }

  // Python spells such a character out before it looks for escapes, and finds none.
  void other_character() {
    rest_ = {rest_.data() - 1, rest_.size() + 1};
    size_t pos = 0;
    auto code = static_cast<uint32_t>(next_code_point(rest_, pos));
    rest_.remove_prefix(pos);
    out_ += code < 0x100     ? fmt::format("\\x{:02x}", code)
            : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                             : fmt::format("\\U{:08x}", code);
  }

  void octal(char32_t value) {
    for (int i = 0; i < 2 && !rest_.empty() && digit_of(rest_[0], 8) >= 0; ++i) {
      value = value * 8 + static_cast<char32_t>(digit_of(rest_[0], 8));
      rest_.remove_prefix(1);
    }
    append_utf8(out_, value);
  }

  char32_t hex(size_t size, char name) {
    char32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      int digit = i < rest_.size() ? digit_of(rest_[i], 16) : -1;
      if (digit < 0) fail_at(line_, fmt::format("a string has a \\{} that is cut off", name));
      value = value * 16 + static_cast<char32_t>(digit);
    }
    rest_.remove_prefix(size);
    return value;
  }

  void code_point(size_t size, char name) {
    char32_t value = hex(size, name);
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
      fail_at(line_, fmt::format("a string has the code point {:x}, which is no character",
                                 static_cast<uint32_t>(value)));
    append_utf8(out_, value);
  }

  std::string_view rest_;
  int line_;
  std::string out_;
};

}  // namespace

std::string_view unescape(std::string_view literal, int line, Arena& arena) {
  if (literal.find('\\') == literal.npos) return literal;
  return arena.copy(Unescaper(literal, line).run());
}

}  // namespace ll::jinja
