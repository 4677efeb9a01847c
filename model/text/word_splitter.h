#pragma once
// The pre-tokenizer of a tokenizer.json: a text to the words that byte pair encoding works on, in
// one step after the other.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/pre_tokenizer.h"

namespace ll {

struct SplitStep {
  enum class Behavior : uint8_t {
    kIsolated,    // matches are words
    kRemoved,     // matches are dropped
    kContiguous,  // matches side by side are one word
    kMergedWithPrevious,
    kMergedWithNext,
  };
  std::string regex;  // in Oniguruma's syntax; empty: no split
  Behavior behavior = Behavior::kIsolated;
  bool invert = false;        // what is between matches takes their place
  bool prefix_space = false;  // a blank before each piece that has none
};

// Thread-safe.
class WordSplitter {
 public:
  // `where` names the regular expressions in errors.
  WordSplitter(const std::vector<SplitStep>& steps, std::string_view where);

  using Word = std::function<void(std::string_view)>;
  // The text is valid UTF-8; a word is not empty and valid during its call. Throws as PreTokenizer.
  void split(std::string_view text, RegexBudget& budget, const Word& word) const {
    run(0, text, budget, word);
  }

 private:
  struct Step {
    SplitStep what;
    std::vector<PreTokenizer> regex;  // one or none
  };
  void run(size_t step, std::string_view text, RegexBudget& budget, const Word& word) const;
  void split(const Step& step, std::string_view text, RegexBudget& budget, const Word& word) const;

  std::vector<Step> steps_;
};

}  // namespace ll
