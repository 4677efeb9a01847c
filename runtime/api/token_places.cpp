#include "runtime/api/token_places.h"

#include <algorithm>

#include "base/utf8.h"
#include "model/text/pre_tokenizer_unicode.h"

namespace ll {
namespace {

bool continues(char c) { return (c & 0xc0) == 0x80; }

int64_t num_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); });
}

size_t size_of_character(std::string_view text) {
  size_t size = 1;
  while (size < text.size() && continues(text[size])) ++size;
  return size;
}

// The bytes at the front of a text that a token's text stands for: the same, or what the same
// became of in normal form C. 0 when there are none.
size_t find_source(std::string_view text, std::string_view piece) {
  if (text.starts_with(piece)) return piece.size();
  constexpr size_t kMaxPiece = 64;  // trying is quadratic
  if (piece.size() > kMaxPiece) return 0;
  std::string buffer;
  size_t limit = std::min(text.size(), 4 * piece.size());
  for (size_t end = 0; end < limit;) {
    end += size_of_character(text.substr(end));
    if (normalize_nfc(text.substr(0, end), buffer) == piece) return end;
  }
  return 0;
}

}  // namespace

int64_t TokenPlaces::push(int32_t token) {
  std::string_view bytes = tokenizer_->token_bytes(token);
  bool is_absent = tokenizer_->is_special(token) &&
                   (skips_special_tokens_ || (pending_.empty() && !rest_.starts_with(bytes)));
  if (bytes.empty() || is_absent) return place_;
  int64_t place = place_;
  // The beginning of a character that does not go on is a character of its own, U+FFFD.
  if (!pending_.empty() && !continues(bytes[0]) && !rest_.empty()) ++place;
  pending_ += bytes;
  std::string piece;
  pending_.erase(0, append_repaired(piece, pending_, false));
  pass(piece);
  return place;
}

void TokenPlaces::pass(std::string_view piece) {
  size_t size = find_source(rest_, piece);
  if (size == 0)  // the text ends, or is another one: as many characters
    for (int64_t n = num_characters(piece); n > 0 && size < rest_.size(); --n)
      size += size_of_character(rest_.substr(size));
  place_ += num_characters(rest_.substr(0, size));
  rest_.remove_prefix(size);
}

int64_t TokenPlaces::length() const { return place_ + num_characters(rest_); }

PlacedTokens place_tokens(const Tokenizer& tokenizer, std::string_view text,
                          bool skips_special_tokens, std::span<const int32_t> ids) {
  TokenPlaces places(tokenizer, text, skips_special_tokens);
  PlacedTokens all;
  for (int32_t id : ids) all.tokens.push_back({id, places.push(id), {}});
  all.length = places.length();
  std::string_view rest = text;
  for (size_t i = 0; i < all.tokens.size(); ++i) {
    bool is_last = i + 1 == all.tokens.size();
    int64_t end = is_last ? all.length : all.tokens[i + 1].place;
    size_t size = 0;
    for (int64_t n = all.tokens[i].place; n < end && size < rest.size(); ++n)
      size += size_of_character(rest.substr(size));
    all.tokens[i].piece = rest.substr(0, size);
    rest.remove_prefix(size);
  }
  return all;
}

}  // namespace ll
