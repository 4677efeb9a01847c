#pragma once
// Cuts a text into the words that byte pair encoding works on, with the regular expression of a
// tokenizer.json.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ll {

// Steps that regular expressions may take on a text, however many parts it is taken in.
class RegexBudget {
 public:
  explicit RegexBudget(size_t text_bytes);
  bool take(size_t steps) {
    if (steps > steps_left_) return false;
    steps_left_ -= steps;
    return true;
  }

 private:
  size_t steps_left_;
};

// Thread-safe.
class PreTokenizer {
 public:
  // `regex` is in Oniguruma's syntax; what PCRE2 reads in another way is refused. `where` names it
  // in errors.
  PreTokenizer(std::string_view regex, std::string_view where);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;

  // Calls `piece` for every match and for every stretch between matches, in order. The text is
  // valid UTF-8. Throws when the expression takes more steps than grow with the text: those that go
  // far beyond what a match takes, or that backtrack, come out of one budget for the whole text.
  using Piece = std::function<void(std::string_view text, bool is_match)>;
  void split(std::string_view text, RegexBudget& budget, const Piece& piece) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

// The same expression in PCRE2's syntax, with \s, \S and \p{...} spelled out where PCRE2 10.42
// (Unicode 14) knows other characters than the Oniguruma of `tokenizers` 0.23 (Unicode 16) does.
std::string pcre2_of_oniguruma(std::string_view regex, std::string_view where);

}  // namespace ll
