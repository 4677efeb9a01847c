#pragma once
// What a tokenizer.json says, checked: a byte-level BPE tokenizer of the Qwen2 kind.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/added_tokens.h"
#include "model/text/bpe.h"
#include "model/text/token_table.h"
#include "model/text/word_splitter.h"

namespace ll {

struct TokenizerSpec {
  bool nfc = false;                     // the text is normalised first
  std::vector<SplitStep> steps;         // a text to words
  std::vector<int32_t> prefix, suffix;  // what stands around a text that special tokens go with
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
  TokenTable tokens{0};        // the BPE vocabulary and the added tokens
  std::vector<std::pair<std::string, int32_t>> unwritable;  // vocabulary no bytes spell, by name
  std::array<int32_t, 256> byte_ids{};
  std::vector<Bpe::Merge> merges;
  std::vector<AddedToken> added;  // special ones first, as they take precedence
};

// Throws Error that names the key and its value when the file asks for anything else: another model
// type, normalizer, pre-tokenizer or decoder, dropout, ... Padding and truncation are ignored, as
// transformers does unless a call asks for them.
TokenizerSpec parse_tokenizer_spec(std::string_view json, std::string_view where);

}  // namespace ll
