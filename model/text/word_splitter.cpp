#include "model/text/word_splitter.h"

namespace ll {

namespace {

using Behavior = SplitStep::Behavior;

// Pieces of a text that lie side by side.
struct Piece {
  std::string_view text;
  bool is_match;
};

std::string_view joined(std::string_view left, std::string_view right) {
  return {left.data(), left.size() + right.size()};
}

// Whether a piece becomes part of the one before it.
bool joins(const Piece& before, const Piece& piece, Behavior behavior) {
  if (behavior == Behavior::kContiguous) return before.is_match == piece.is_match;
  return behavior == Behavior::kMergedWithPrevious && piece.is_match && !before.is_match;
}

std::vector<Piece> merged(const std::vector<Piece>& pieces, Behavior behavior) {
  std::vector<Piece> out;
  for (const Piece& piece : pieces)
    if (!out.empty() && joins(out.back(), piece, behavior))
      out.back() = {joined(out.back().text, piece.text), piece.is_match};
    else
      out.push_back(piece);
  return out;
}

std::vector<Piece> merged_with_next(const std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  for (const Piece& piece : pieces)
    if (!out.empty() && out.back().is_match && !piece.is_match)
      out.back() = {joined(out.back().text, piece.text), false};
    else
      out.push_back(piece);
  return out;
}

}  // namespace

WordSplitter::WordSplitter(const std::vector<SplitStep>& steps, std::string_view where) {
  for (const SplitStep& what : steps) {
    Step& step = steps_.emplace_back();
    step.what = what;
    if (!what.regex.empty()) step.regex.emplace_back(what.regex, where);
  }
}

void WordSplitter::run(size_t step, std::string_view text, RegexBudget& budget,
                       const Word& word) const {
  if (text.empty()) return;
  if (step == steps_.size()) return word(text);
  const SplitStep& what = steps_[step].what;
  std::string with_space;
  if (what.prefix_space && text[0] != ' ') {
    with_space.assign(1, ' ').append(text);
    text = with_space;
  }
  if (steps_[step].regex.empty()) return run(step + 1, text, budget, word);
  if (step + 1 == steps_.size()) return split(steps_[step], text, budget, word);
  split(steps_[step], text, budget,
        [&](std::string_view piece) { run(step + 1, piece, budget, word); });
}

void WordSplitter::split(const Step& step, std::string_view text, RegexBudget& budget,
                         const Word& word) const {
  const PreTokenizer& regex = step.regex.front();
  Behavior behavior = step.what.behavior;
  bool invert = step.what.invert;
  if (behavior == Behavior::kIsolated)
    return regex.split(text, budget, [&](std::string_view piece, bool) { word(piece); });
  if (behavior == Behavior::kRemoved)
    return regex.split(text, budget, [&](std::string_view piece, bool is_match) {
      if (is_match == invert) word(piece);
    });
  std::vector<Piece> pieces;
  regex.split(text, budget, [&](std::string_view piece, bool is_match) {
    pieces.push_back({piece, is_match != invert});
  });
  pieces =
      behavior == Behavior::kMergedWithNext ? merged_with_next(pieces) : merged(pieces, behavior);
  for (const Piece& piece : pieces) word(piece.text);
}

}  // namespace ll
