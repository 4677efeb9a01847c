#include "model/text/jinja_tokens.h"

#include <algorithm>

namespace ll {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

bool is_name_character(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_name(std::string_view text) {
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         std::all_of(text.begin(), text.end(), is_name_character);
}

void trim_left(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
}

void trim_right(std::string_view& text) {
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// Takes the white space before a block at the beginning of a line.
void strip_indent(std::string_view& text, bool at_line_start) {
  const size_t kept = text.find_last_not_of(" \t") + 1;
  if (kept == 0 ? at_line_start : text[kept - 1] == '\n') text = text.substr(0, kept);
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : rest_(source) {
    if (rest_.ends_with('\n')) rest_.remove_suffix(1);
  }

  std::optional<std::vector<std::string>> run() {
    while (!rest_.empty()) {
      text();
      if (rest_.empty()) break;
      const bool done = rest_[1] == '#' ? comment() : block();
      if (!done) return {};
    }
    return std::move(tokens_);
  }

 private:
  // Up to the next "{{", "{%" or "{#", with what that and the block before it strip.
  void text() {
    size_t end = 0;
    while (end < rest_.size() && !(rest_[end] == '{' && end + 1 < rest_.size() &&
                                   std::string_view("{%#").find(rest_[end + 1]) != rest_.npos)) {
      ++end;
    }
    std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end);
    const bool at_line_start = after_ == After::kStart || trim_after_block(text);
    if (rest_.size() > 2 && rest_[2] == '-') {
      trim_right(text);
    } else if (!rest_.empty() && rest_[1] != '{') {
      strip_indent(text, at_line_start);
    }
    if (!text.empty()) tokens_.emplace_back("#").append(text);
  }

  // Returns whether what follows stands at the beginning of a line.
  bool trim_after_block(std::string_view& text) const {
    if (after_ == After::kDash) trim_left(text);
    if (after_ != After::kBlock || !text.starts_with('\n')) return false;
    text.remove_prefix(1);
    return true;
  }

  bool comment() {
    const size_t end = rest_.find("#}", 2);
    if (end == rest_.npos) return false;
    after_ = rest_[end - 1] == '-' ? After::kDash : After::kBlock;
    rest_.remove_prefix(end + 2);
    return true;
  }

  bool block() {
    const std::string_view close = rest_[1] == '{' ? "}}" : "%}";
    tokens_.emplace_back(rest_.substr(0, 2));
    rest_.remove_prefix(rest_.size() > 2 && rest_[2] == '-' ? 3 : 2);
    for (trim_left(rest_); !rest_.empty(); trim_left(rest_)) {
      const bool dash = rest_[0] == '-' && rest_.substr(1).starts_with(close);
      if (dash || rest_.starts_with(close)) {
        rest_.remove_prefix(dash ? 3 : 2);
        tokens_.emplace_back(close);
        after_ = dash ? After::kDash : close == "%}" ? After::kBlock : After::kPrint;
        return true;
      }
      if (!expression_token()) return false;
    }
    return false;
  }

  bool expression_token() {
    if (rest_[0] == '\'' || rest_[0] == '"') return literal();
    size_t size = 0;
    while (size < rest_.size() && is_name_character(rest_[size])) ++size;
    if (size == 0) size = rest_.starts_with("==") || rest_.starts_with("!=") ? 2 : 1;
    tokens_.emplace_back(rest_.substr(0, size));
    rest_.remove_prefix(size);
    const size_t n = tokens_.size();
    if (tokens_.back() == "]" && n >= 4 && tokens_[n - 3] == "[" && tokens_[n - 2][0] == '\'' &&
        is_name(std::string_view(tokens_[n - 2]).substr(1))) {
      tokens_[n - 3] = ".";
      tokens_[n - 2].erase(0, 1);
      tokens_.pop_back();
    }
    return true;
  }

  bool literal() {
    constexpr std::string_view kEscapes = "ntr\\'\"", kMeanings = "\n\t\r\\'\"";
    const char quote = rest_[0];
    std::string token = "'";
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == quote) {
        rest_.remove_prefix(i + 1);
        tokens_.push_back(std::move(token));
        return true;
      }
      if (rest_[i] == '\r') return false;  // Jinja makes it a line feed
      if (rest_[i] != '\\') {
        token += rest_[i];
        continue;
      }
      const size_t escape = ++i < rest_.size() ? kEscapes.find(rest_[i]) : kEscapes.npos;
      if (escape == kEscapes.npos) return false;
      token += kMeanings[escape];
    }
    return false;
  }

  // What the text after the last block depends on.
  enum class After { kStart, kPrint, kBlock, kDash };

  std::string_view rest_;
  std::vector<std::string> tokens_;
  After after_ = After::kStart;
};

}  // namespace

std::optional<std::vector<std::string>> jinja_tokens(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace ll
