#pragma once
// Text to token ids and back, identical to Hugging Face's `tokenizers` on files of byte-level BPE.
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/text/added_tokens.h"
#include "model/text/bpe.h"
#include "model/text/token_table.h"
#include "model/text/word_splitter.h"

namespace ll {

struct TokenizerSpec;

// All const members are thread-safe.
class Tokenizer {
 public:
  // `text` is that of a tokenizer.json; `where` names it in errors. Throws Error that names what is
  // not byte-level BPE as the families of Qwen and Llama 3 have it.
  static Tokenizer from_json(std::string_view text, std::string_view where);

  // Added tokens in the text ("<|im_end|>") become their ids. What the file's post-processor puts
  // around a text ("<s>") is added only when asked for. Throws Error with the byte offset when the
  // text is not UTF-8.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = false) const;

  // Valid UTF-8: bytes of tokens that are not become U+FFFD. Ids without a token decode to nothing.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  // Empty for ids without a token. Valid as long as the tokenizer.
  std::string_view token_bytes(int32_t id) const { return tokens_.bytes(id); }
  bool is_special(int32_t id) const;
  // Ids run from 0 to vocab_size() - 1. A model's vocabulary is often larger.
  int32_t vocab_size() const { return tokens_.num_ids(); }
  // `token` as tokenizer.json spells it: "Ġthe", "<|im_end|>".
  std::optional<int32_t> id_of(std::string_view token) const;

 private:
  explicit Tokenizer(TokenizerSpec spec, std::string_view where);
  void encode_word(std::string_view word, Bpe::Scratch& scratch, std::vector<int32_t>& ids) const;

  // Whether merging a token's own bytes ends in that token. Found out when first needed, and what
  // any thread finds is the same.
  enum class Whole : uint8_t { kUnknown, kYes, kNo };

  TokenTable tokens_;
  Bpe bpe_;
  WordSplitter splitter_;
  bool nfc_;
  AddedTokens raw_added_, normalized_added_;
  std::vector<int32_t> prefix_, suffix_;
  std::unordered_map<std::string, int32_t> names_;  // of tokens that no bytes find
  std::vector<bool> is_special_;
  mutable std::vector<std::atomic<Whole>> whole_;
};

}  // namespace ll
