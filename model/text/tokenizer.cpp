#include "model/text/tokenizer.h"

#include <utility>

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/pre_tokenizer_unicode.h"
#include "model/text/tokenizer_spec.h"

namespace ll {

namespace {

// Those that match the text as it came, or those that match the normalised text, in its form.
AddedTokens added_tokens(const TokenizerSpec& spec, bool normalized) {
  std::vector<AddedToken> tokens;
  std::string buffer;
  for (AddedToken token : spec.added) {
    if (token.normalized != normalized) continue;
    if (normalized && spec.nfc) token.content = std::string(normalize_nfc(token.content, buffer));
    tokens.push_back(std::move(token));
  }
  return AddedTokens(std::move(tokens));
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view text, std::string_view where) {
  return Tokenizer(parse_tokenizer_spec(text, where), where);
}

Tokenizer::Tokenizer(TokenizerSpec spec, std::string_view where)
    : tokens_(std::move(spec.tokens)),
      bpe_(spec.byte_ids, spec.merges),
      splitter_(spec.steps, where),
      nfc_(spec.nfc),
      raw_added_(added_tokens(spec, false)),
      normalized_added_(added_tokens(spec, true)),
      prefix_(spec.prefix),
      suffix_(spec.suffix),
      is_special_(static_cast<size_t>(tokens_.num_ids())),
      whole_(static_cast<size_t>(tokens_.num_ids())) {
  if (spec.ignore_merges)
    for (auto& whole : whole_) whole = Whole::kYes;
  for (const auto& [name, id] : spec.unwritable) names_.emplace(name, id);
  for (const AddedToken& token : spec.added) {
    names_.emplace(token.content, token.id);
    if (token.special) is_special_[static_cast<size_t>(token.id)] = true;
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  size_t invalid = find_invalid_utf8(text);
  check(invalid == text.npos,
        "text to tokenize: byte {} is not valid UTF-8: send the text in UTF-8", invalid);
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = prefix_;
  Bpe::Scratch scratch;
  RegexBudget budget(text.size());
  std::string buffer;
  for (const AddedTokens::Piece& raw : raw_added_.split(text)) {
    if (raw.token != kNoToken) {
      ids.push_back(raw.token);
      continue;
    }
    std::string_view normal = nfc_ ? normalize_nfc(raw.text, buffer) : raw.text;
    for (const AddedTokens::Piece& piece : normalized_added_.split(normal)) {
      if (piece.token != kNoToken) {
        ids.push_back(piece.token);
        continue;
      }
      splitter_.split(piece.text, budget,
                      [&](std::string_view word) { encode_word(word, scratch, ids); });
    }
  }
  if (add_special_tokens) ids.insert(ids.end(), suffix_.begin(), suffix_.end());
  return ids;
}

void Tokenizer::encode_word(std::string_view word, Bpe::Scratch& scratch,
                            std::vector<int32_t>& ids) const {
  int32_t id = tokens_.find(word);
  const Whole whole =
      id == kNoToken ? Whole::kNo : whole_[static_cast<size_t>(id)].load(std::memory_order_relaxed);
  if (whole == Whole::kYes) return ids.push_back(id);
  size_t begin = ids.size();
  bpe_.encode(word, scratch, ids);
  if (whole == Whole::kUnknown) {
    bool is_whole = ids.size() == begin + 1 && ids.back() == id;
    whole_[static_cast<size_t>(id)].store(is_whole ? Whole::kYes : Whole::kNo,
                                          std::memory_order_relaxed);
  }
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (int32_t id : ids)
    if (!skip_special_tokens || !is_special(id)) bytes += tokens_.bytes(id);
  std::string text;
  text.reserve(bytes.size());
  append_repaired(text, bytes, true);
  return text;
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && is_special_[static_cast<size_t>(id)];
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  if (auto named = names_.find(std::string(token)); named != names_.end()) return named->second;
  if (find_invalid_utf8(token) != token.npos) return {};
  std::optional<std::string> bytes = byte_level_bytes(token);
  int32_t id = bytes ? tokens_.find(*bytes) : kNoToken;
  return id == kNoToken ? std::nullopt : std::optional(id);
}

}  // namespace ll
