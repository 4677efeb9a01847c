#include "model/text/jinja/syntax/lexer.h"

#include <algorithm>

#include "base/check.h"
#include "base/printable.h"
#include "model/text/jinja/syntax/string_literal.h"
#include "model/text/jinja/values/arena.h"
#include "model/text/jinja/values/white_space.h"

namespace ll::jinja {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_part(char c) {
  return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
  using Kind = Token::Kind;

 public:
  Lexer(std::string_view source, Arena& arena) : source_(source), arena_(arena) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    put(Kind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return source_.substr(at_); }
  bool has(std::string_view prefix) const { return rest().starts_with(prefix); }
  void move_to(size_t pos) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                                         source_.begin() + static_cast<ptrdiff_t>(pos), '\n'));
    at_ = pos;
  }
  void put(Kind kind, std::string_view text) { tokens_.push_back({kind, text, line_}); }
  void skip_space() {
    std::string_view left = strip_left(rest());
    move_to(source_.size() - left.size());
  }

  // Text up to the next tag, and the tag.
  void text() {
    size_t tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == source_.npos || tag + 1 == source_.size()) break;
      char next = source_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    if (tag == source_.npos || tag + 1 == source_.size()) {
      put_data(rest());
      return move_to(source_.size());
    }
    std::string_view before = source_.substr(at_, tag - at_);
    char kind = source_[tag + 1];
    char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    bool signed_tag = sign == '-' || sign == '+';
    put_data(stripped(before, signed_tag ? sign : ' ', kind == '{'));
    move_to(tag + 2 + (signed_tag ? 1 : 0));
    if (kind == '#') return comment();
    if (kind == '%' && raw_begin()) return raw();
    put(kind == '{' ? Kind::kPrintBegin : Kind::kBlockBegin, {});
    expression(kind == '{' ? "}}" : "%}", kind == '{');
  }

  // What is left of the text before a tag.
  std::string_view stripped(std::string_view before, char sign, bool is_print) const {
    if (sign == '-') return strip_right(before);
    if (sign == '+' || is_print) return before;
    size_t line = before.rfind('\n') + 1;  // 0 when there is none
    bool from_line_start = line > 0 || line_starts_;
    return from_line_start && strip_left(before.substr(line)).empty() ? before.substr(0, line)
                                                                      : before;
  }

  void put_data(std::string_view data) {
    if (!data.empty()) put(Kind::kData, data);
  }

  // Behind the end of a block or a comment, whose sign stands before `end`.
  void close(char sign, std::string_view end, bool trims) {
    at_ += end.size() + (sign != ' ' ? 1 : 0);
    if (sign == '-')
      skip_space();
    else if (sign != '+' && trims && has("\n"))
      move_to(at_ + 1);
    line_starts_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  void comment() {
    size_t end = source_.find("#}", at_);
    if (end == source_.npos) fail_at(line_, "a comment has no end");
    char sign =
        end > at_ && (source_[end - 1] == '-' || source_[end - 1] == '+') ? source_[end - 1] : ' ';
    move_to(sign == ' ' ? end : end - 1);
    close(sign, "#}", true);
  }

  // Takes "raw %}" behind "{%"; false when it is another block.
  bool raw_begin() {
    std::string_view left = strip_left(rest());
    if (!left.starts_with("raw")) return false;
    left = strip_left(left.substr(3));
    bool dashed = left.starts_with("-%}");
    if (!dashed && !left.starts_with("%}")) return false;
    left.remove_prefix(dashed ? 3 : 2);
    move_to(source_.size() - left.size());
    if (dashed) skip_space();
    line_starts_ = source_[at_ - 1] == '\n';
    return true;
  }

  void raw() {
    size_t begin = at_;
    for (size_t tag = source_.find("{%", begin); tag != source_.npos;
         tag = source_.find("{%", tag + 1)) {
      std::string_view left = source_.substr(tag + 2);
      char sign = !left.empty() && (left[0] == '-' || left[0] == '+') ? left[0] : ' ';
      if (sign != ' ') left.remove_prefix(1);
      left = strip_left(left);
      if (!left.starts_with("endraw")) continue;
      left = strip_left(left.substr(6));
      char end_sign = !left.empty() && (left[0] == '-' || left[0] == '+') ? left[0] : ' ';
      if (!left.substr(end_sign == ' ' ? 0 : 1).starts_with("%}")) continue;
      put_data(stripped(source_.substr(begin, tag - begin), sign, false));
      move_to(source_.size() - left.size());
      return close(end_sign, "%}", true);
    }
    fail_at(line_, "a raw block has no end");
  }

  // Tokens up to `end`, which closes only outside of brackets.
  void expression(std::string_view end, bool is_print) {
    for (std::string brackets;;) {
      skip_space();
      if (at_ == source_.size())
        fail_at(line_, fmt::format("unexpected end of the template: '{}' is missing", end));
      if (brackets.empty() && ends_here(end, is_print)) return;
      char c = source_[at_];
      if (c == '\'' || c == '"') {
        string(c);
      } else if (is_digit(c)) {
        number();
      } else if (is_name_part(c)) {
        size_t size = 1;
        while (at_ + size < source_.size() && is_name_part(source_[at_ + size])) ++size;
        take(Kind::kName, size);
      } else {
        symbol(brackets);
      }
    }
  }

  bool ends_here(std::string_view end, bool is_print) {
    char sign = has("-") || (has("+") && !is_print) ? source_[at_] : ' ';
    if (!rest().substr(sign == ' ' ? 0 : 1).starts_with(end)) return false;
    put(is_print ? Kind::kPrintEnd : Kind::kBlockEnd, {});
    close(sign, end, !is_print);
    return true;
  }

  void take(Kind kind, size_t size) {
    put(kind, source_.substr(at_, size));
    move_to(at_ + size);
  }

  void string(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail_at(line_, "a string has no end");
    put(Kind::kString, unescape(source_.substr(at_ + 1, end - at_ - 1), line_, arena_));
    move_to(end + 1);
  }

  size_t digits(size_t pos) const {
    while (pos < source_.size() &&
           (is_digit(source_[pos]) ||
            (source_[pos] == '_' && pos + 1 < source_.size() && is_digit(source_[pos + 1]))))
      ++pos;
    return pos;
  }

  void number() {
    if (source_[at_] == '0' && at_ + 1 < source_.size() &&
        std::string_view("xXoObB").find(source_[at_ + 1]) != std::string_view::npos) {
      size_t end = at_ + 2;
      while (end < source_.size() && is_name_part(source_[end])) ++end;
      return take(Kind::kInteger, end - at_);
    }
    size_t end = digits(at_), whole = end;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1]))
      end = digits(end + 1);
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      size_t power = end + 1;
      if (power < source_.size() && (source_[power] == '+' || source_[power] == '-')) ++power;
      if (power < source_.size() && is_digit(source_[power])) end = digits(power);
    }
    take(end == whole ? Kind::kInteger : Kind::kFloat, end - at_);
  }

  void symbol(std::string& brackets) {
    for (std::string_view two : {"==", "!=", ">=", "<=", "//", "**"})
      if (has(two)) return take(Kind::kOperator, 2);
    char c = source_[at_];
    constexpr std::string_view kOpen = "([{", kClose = ")]}", kOthers = "+-/*%~><=.:|,;";
    if (kOpen.find(c) != kOpen.npos) {
      brackets += kClose[kOpen.find(c)];
    } else if (kClose.find(c) != kClose.npos) {
      if (brackets.empty()) fail_at(line_, fmt::format("unexpected '{}'", c));
      if (brackets.back() != c)
        fail_at(line_, fmt::format("unexpected '{}', expected '{}'", c, brackets.back()));
      brackets.pop_back();
    } else if (kOthers.find(c) == kOthers.npos) {
      fail_at(line_, fmt::format("unexpected char '{}'", printable(rest().substr(0, 1))));
    }
    take(Kind::kOperator, 1);
  }

  std::string_view source_;
  Arena& arena_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;  // what stands before at_ is a line feed, or nothing
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, Arena& arena) {
  return Lexer(source, arena).run();
}

std::string normalize_lines(std::string_view source) {
  std::string lines;
  lines.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    bool is_pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
    if (is_pair) continue;
    lines += source[i] == '\r' ? '\n' : source[i];
  }
  if (lines.ends_with('\n')) lines.pop_back();
  return lines;
}

void fail_at(int line, std::string_view what) { fail("line {}: {}", line, what); }

}  // namespace ll::jinja
