#pragma once
// Cuts a text into the words that byte pair encoding works on, with the regular expression of a
// tokenizer.json.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ll {

// Thread-safe.
class PreTokenizer {
 public:
  // `regex` is in Oniguruma's syntax; what PCRE2 reads in another way is refused. `where` names it
  // in errors.
  PreTokenizer(std::string_view regex, std::string_view where);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;

  // Calls `word` for every match and for every stretch between matches, in order. The text is valid
  // UTF-8. Throws when the expression needs more backtracking than grows with the text.
  void split(std::string_view text, const std::function<void(std::string_view)>& word) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

// The same expression in PCRE2's syntax, with \s, \S, \p{L} and \p{N} spelled out where PCRE2 10.42
// (Unicode 14) knows other characters than the Oniguruma of `tokenizers` 0.23 (Unicode 16) does.
std::string pcre2_of_oniguruma(std::string_view regex, std::string_view where);

}  // namespace ll
