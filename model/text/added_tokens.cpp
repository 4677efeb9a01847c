#include "model/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/pre_tokenizer_unicode.h"

namespace ll {

namespace {

bool touches_word(std::string_view text, size_t begin, size_t end) {
  size_t before = begin, after = end;
  return (begin > 0 && is_word_character(previous_code_point(text, before))) ||
         (end < text.size() && is_word_character(next_code_point(text, after)));
}

// Moves back over white space, not past `limit`.
size_t skip_space_back(std::string_view text, size_t pos, size_t limit) {
  for (size_t before = pos; pos > limit; pos = before)
    if (!is_white_space(previous_code_point(text, before))) break;
  return pos;
}

size_t skip_space(std::string_view text, size_t pos) {
  for (size_t next = pos; pos < text.size(); pos = next)
    if (!is_white_space(next_code_point(text, next))) break;
  return pos;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), token_of_node_{kNoToken} {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& content = tokens_[i].content;
    ensure(!content.empty(), "added token without content");
    uint32_t node = 0;
    for (char c : content) {
      auto byte = static_cast<unsigned char>(c);
      uint32_t& child = node == 0 ? roots_[byte] : children_[edge(node, byte)];
      if (child == kNoChild) {
        child = static_cast<uint32_t>(token_of_node_.size());
        token_of_node_.push_back(kNoToken);
      }
      node = child;
    }
    if (token_of_node_[node] == kNoToken) token_of_node_[node] = static_cast<int32_t>(i);
  }
}

AddedTokens::Match AddedTokens::longest_at(std::string_view text, size_t pos) const {
  Match best;
  uint32_t node = roots_[static_cast<unsigned char>(text[pos])];
  for (size_t end = pos + 1; node != kNoChild; ++end) {
    int32_t token = token_of_node_[node];
    if (token != kNoToken) best = {end - pos, &tokens_[static_cast<size_t>(token)]};
    if (end == text.size()) break;
    auto child = children_.find(edge(node, static_cast<unsigned char>(text[end])));
    node = child == children_.end() ? kNoChild : child->second;
  }
  return best;
}

std::vector<AddedTokens::Piece> AddedTokens::split(std::string_view text) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t pos = 0; pos < text.size();) {
    if (roots_[static_cast<unsigned char>(text[pos])] == kNoChild) {
      ++pos;
      continue;
    }
    auto [size, token] = longest_at(text, pos);
    if (size == 0) {
      ++pos;
      continue;
    }
    size_t begin = pos, end = pos + size;
    pos = end;
    if (token->single_word && touches_word(text, begin, end)) continue;
    if (token->lstrip) begin = skip_space_back(text, begin, std::min(begin, done));
    if (token->rstrip) end = skip_space(text, end);
    if (done < begin) pieces.push_back({text.substr(done, begin - done), kNoToken});
    pieces.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done), kNoToken});
  return pieces;
}

}  // namespace ll
