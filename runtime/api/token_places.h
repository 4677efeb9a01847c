#pragma once
// Where the tokens of a text begin in it.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/tokenizer.h"

namespace ll {

// Follows a text token by token; counts in characters. Parts of a character begin where it begins.
// Tokens that are not in the text, special ones that were skipped and those behind a stop string,
// stand where they would be.
class TokenPlaces {
 public:
  // Both outlive this. A special token counts for its text unless special tokens were skipped, or
  // the text has none of it at its place.
  TokenPlaces(const Tokenizer& tokenizer, std::string_view text, bool skips_special_tokens)
      : tokenizer_(&tokenizer), rest_(text), skips_special_tokens_(skips_special_tokens) {}

  // The characters in front of the next token.
  int64_t push(int32_t token);
  // Those of the whole text.
  int64_t length() const;

 private:
  void pass(std::string_view piece);

  const Tokenizer* tokenizer_;
  std::string_view rest_;  // of the text
  bool skips_special_tokens_;
  int64_t place_ = 0;    // characters in front of rest_
  std::string pending_;  // the beginning of a character
};

// A token of a text, or of what was drawn for it.
struct PlacedToken {
  int32_t id = 0;
  int64_t place = 0;       // characters in front of it
  std::string_view piece;  // the text from there to the next token's place
};

struct PlacedTokens {
  std::vector<PlacedToken> tokens;
  int64_t length = 0;  // the text's characters
};

// All tokens of a text, which outlives what is returned, as TokenPlaces has them. Of the parts of a
// character the last one's piece is the character.
PlacedTokens place_tokens(const Tokenizer& tokenizer, std::string_view text,
                          bool skips_special_tokens, std::span<const int32_t> ids);

}  // namespace ll
