#pragma once
// How answers name single tokens.
#include <cstdint>
#include <string>

#include "model/text/tokenizer.h"

namespace ll {

// "token_id:7"
std::string number_name(int32_t token);
// A token's text; where its bytes are no text, as parts of characters are not, the bytes as OpenAI
// writes them, "bytes:\xe6\x97". Different tokens thus have different names, but for those that
// spell the same bytes. Tokens without bytes, and all without a tokenizer, have their number.
std::string name_of_token(int32_t token, const Tokenizer* tokenizer);

}  // namespace ll
