#pragma once
// What the tokenizer takes from Unicode, the way Hugging Face's `tokenizers` (0.23) has it: its
// normalisation knows the marks of Unicode 9 and treats younger ones as plain characters.
#include <string>
#include <string_view>

namespace ll {

// Normalisation Form C (Unicode Standard Annex 15) of valid UTF-8: `text` itself when it is in that
// form already, else a view of `buffer`. Time and memory grow with the size of the text only.
std::string_view normalize_nfc(std::string_view text, std::string& buffer);

bool is_white_space(char32_t point);
// \w of Unicode Technical Standard 18, letters, marks, digits and connectors, in the version of
// Unicode that utf8proc has.
bool is_word_character(char32_t point);

}  // namespace ll
