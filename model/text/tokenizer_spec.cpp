#include "model/text/tokenizer_spec.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/printable.h"

namespace ll {

namespace {

using Kind = JsonTree::Kind;

// The pattern of a ByteLevel pre-tokenizer with use_regex [GPT-2].
constexpr std::string_view kByteLevelRegex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Holes between ids may not blow up the tables.
constexpr int64_t kIdsPerToken = 4, kMinIds = 4096;

class Parser {
 public:
  Parser(std::string_view json, std::string_view where)
      : where_(where), root_(JsonTree::parse(json, where)) {
    check(root_.is(Kind::kObject), "{}: not a tokenizer.json: the top is not an object", where_);
  }

  TokenizerSpec run() {
    normalizer();
    pre_tokenizer();
    byte_level_or_null("post_processor", true);
    byte_level_or_null("decoder", false);
    const JsonTree& model = object(root_, "model", "model");
    model_options(model);
    added_tokens();
    vocabulary(array_or_object(model, "vocab", Kind::kObject));
    merges(array_or_object(model, "merges", Kind::kArray));
    std::stable_partition(spec_.added.begin(), spec_.added.end(),
                          [](const AddedToken& token) { return token.special; });
    return std::move(spec_);
  }

 private:
  [[noreturn]] void refuse(std::string_view key, const JsonTree* value) const {
    fail(
        "{}: {} is {}, which this tokenizer does not know: only byte-level BPE as Qwen2 has it "
        "works",
        where_, key, value ? printable(value->python_dump(), 80) : "missing");
  }
  const JsonTree& object(const JsonTree& parent, std::string_view key,
                         std::string_view name) const {
    const JsonTree* value = parent.find(key);
    if (!value || !value->is(Kind::kObject)) refuse(name, value);
    return *value;
  }
  const JsonTree& array_or_object(const JsonTree& model, std::string_view key, Kind kind) const {
    const JsonTree* value = model.find(key);
    check(value && value->is(kind), "{}: model.{} is missing or of another kind: it must be {}",
          where_, key, kind == Kind::kArray ? "a list" : "an object");
    return *value;
  }
  static bool is_text(const JsonTree* value, std::string_view text) {
    return value && value->is(Kind::kString) && value->text == text;
  }
  bool flag(const JsonTree& parent, std::string_view key, bool fallback) const {
    const JsonTree* value = parent.find(key);
    if (!value) return fallback;
    if (!value->is(Kind::kBool)) refuse(key, value);
    return value->text == "true";
  }

  void normalizer() {
    const JsonTree* value = root_.find("normalizer");
    spec_.nfc = value != nullptr;
    if (value && !is_text(value->find("type"), "NFC")) refuse("normalizer", value);
  }

  // Sequence[Split, ByteLevel], or ByteLevel with GPT-2's own expression.
  void pre_tokenizer() {
    const JsonTree& top = object(root_, "pre_tokenizer", "pre_tokenizer");
    if (is_text(top.find("type"), "ByteLevel")) {
      if (!flag(top, "use_regex", true)) refuse("pre_tokenizer", &top);
      spec_.split_regex = kByteLevelRegex;
      return prefix_space(top);
    }
    const JsonTree* parts = top.find("pretokenizers");
    const bool is_pair = is_text(top.find("type"), "Sequence") && parts &&
                         parts->is(Kind::kArray) && parts->members.size() == 2;
    if (!is_pair) refuse("pre_tokenizer", &top);
    const JsonTree& split = parts->members[0].value;
    const JsonTree& bytes = parts->members[1].value;
    if (!is_text(bytes.find("type"), "ByteLevel") || flag(bytes, "use_regex", true))
      refuse("pre_tokenizer", &bytes);
    prefix_space(bytes);
    const JsonTree* pattern = split.find("pattern");
    const JsonTree* regex = pattern ? pattern->find("Regex") : nullptr;
    if (!is_text(split.find("type"), "Split") || !is_text(split.find("behavior"), "Isolated") ||
        flag(split, "invert", false) || !regex || !regex->is(Kind::kString))
      refuse("pre_tokenizer", &split);
    spec_.split_regex = regex->text;
  }

  void prefix_space(const JsonTree& byte_level) const {
    if (flag(byte_level, "add_prefix_space", true))
      refuse("pre_tokenizer.add_prefix_space", &byte_level);
  }

  void byte_level_or_null(std::string_view key, bool may_be_null) const {
    const JsonTree* value = root_.find(key);
    if (!value && may_be_null) return;
    if (!value || !is_text(value->find("type"), "ByteLevel")) refuse(key, value);
  }

  void model_options(const JsonTree& model) {
    const JsonTree* type = model.find("type");  // old files have none
    if (type && !is_text(type, "BPE")) refuse("model.type", type);
    for (std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const JsonTree* affix = model.find(key);
      if (affix && !is_text(affix, "")) refuse(key, affix);
    }
    const JsonTree* dropout = model.find("dropout");
    if (dropout && dropout->text != "0" && dropout->text != "0.0") refuse("model.dropout", dropout);
    if (flag(model, "byte_fallback", false))
      refuse("model.byte_fallback", model.find("byte_fallback"));
    spec_.ignore_merges = flag(model, "ignore_merges", false);
  }

  void added_tokens() {
    const JsonTree* list = root_.find("added_tokens");
    if (!list) return;
    if (!list->is(Kind::kArray)) refuse("added_tokens", list);
    for (const JsonTree::Member& member : list->members) {
      const JsonTree& token = member.value;
      const JsonTree* content = token.find("content");
      if (!content || !content->is(Kind::kString) || content->text.empty() || !token.find("id"))
        refuse("added_tokens", &token);
      const bool special = flag(token, "special", false);
      spec_.added.push_back({.content = content->text,
                             .id = token_id(content->text, *token.find("id")),
                             .special = special,
                             .normalized = flag(token, "normalized", !special),
                             .lstrip = flag(token, "lstrip", false),
                             .rstrip = flag(token, "rstrip", false),
                             .single_word = flag(token, "single_word", false)});
    }
  }

  int32_t token_id(std::string_view token, const JsonTree& value) const {
    const std::optional<int64_t> id = value.integer();
    if (!id || *id < 0 || *id >= INT32_MAX) {  // not check: it would print every token
      fail("{}: token '{}' has the id {}: it must be an integer of 31 bits", where_,
           printable(token, 40), printable(value.python_dump(), 40));
    }
    return static_cast<int32_t>(*id);
  }

  void vocabulary(const JsonTree& vocab) {
    const int64_t num_tokens = static_cast<int64_t>(vocab.members.size() + spec_.added.size());
    std::vector<int32_t> ids;
    ids.reserve(vocab.members.size());
    int64_t max_id = -1;
    size_t num_bytes = 0;
    for (const auto& [name, value] : vocab.members) {
      ids.push_back(token_id(name, value));
      max_id = std::max<int64_t>(max_id, ids.back());
      num_bytes += name.size();
    }
    for (const AddedToken& token : spec_.added) max_id = std::max<int64_t>(max_id, token.id);
    check(max_id < kMinIds + kIdsPerToken * num_tokens,
          "{}: token id {} is far above the number of tokens, {}: the file is broken", where_,
          max_id, num_tokens);
    spec_.tokens = TokenTable(static_cast<int32_t>(max_id + 1), num_bytes);
    for (size_t i = 0; i < ids.size(); ++i) add_token(vocab.members[i].key, ids[i]);
    for (const AddedToken& token : spec_.added) add_added(token);
    find_bytes();
  }

  void add_token(const std::string& name, int32_t id) {
    if (spec_.tokens.has(id)) {
      fail("{}: id {} belongs to two tokens, one is '{}': the file is broken", where_, id,
           printable(name, 40));
    }
    const std::optional<std::string> bytes = byte_level_bytes(name);
    spec_.tokens.add(id, bytes ? *bytes : name, bytes.has_value());
    if (!bytes) spec_.unwritable.emplace_back(name, id);
  }

  // An added token may be in the vocabulary, too, with the same id.
  void add_added(const AddedToken& token) {
    const std::optional<std::string> bytes = byte_level_bytes(token.content);
    const std::string& spelled = bytes ? *bytes : token.content;
    const int32_t other = bytes ? spec_.tokens.find(*bytes) : kNoToken;
    const bool is_known = spec_.tokens.has(token.id);
    const bool agrees = is_known ? spec_.tokens.bytes(token.id) == spelled : other == kNoToken;
    check(agrees,
          "{}: added token '{}' and its id {} do not agree with model.vocab: the file is broken",
          where_, printable(token.content, 40), token.id);
    if (!is_known) spec_.tokens.add(token.id, spelled, false);
  }

  void find_bytes() {
    for (size_t byte = 0; byte < spec_.byte_ids.size(); ++byte) {
      const char c = static_cast<char>(byte);
      spec_.byte_ids[byte] = spec_.tokens.find(std::string_view(&c, 1));
      check(spec_.byte_ids[byte] != kNoToken,
            "{}: model.vocab has no token for byte {:#04x}: only byte-level BPE works", where_,
            byte);
    }
  }

  void merges(const JsonTree& list) {
    spec_.merges.reserve(list.members.size());
    for (const JsonTree::Member& member : list.members) {
      const JsonTree& merge = member.value;
      const auto [left, right] = pair_of(merge);
      const std::optional<std::string> left_bytes = byte_level_bytes(left);
      const std::optional<std::string> right_bytes = byte_level_bytes(right);
      if (!left_bytes || !right_bytes) refuse("model.merges", &merge);
      const Bpe::Merge ids = {spec_.tokens.find(*left_bytes), spec_.tokens.find(*right_bytes),
                              spec_.tokens.find(*left_bytes + *right_bytes)};
      if (ids.left == kNoToken || ids.right == kNoToken || ids.result == kNoToken) {
        fail("{}: model.merges has {}, but model.vocab lacks a token of it: the file is broken",
             where_, printable(merge.python_dump(), 80));
      }
      spec_.merges.push_back(ids);
    }
  }

  // "a b" or ["a", "b"].
  std::pair<std::string_view, std::string_view> pair_of(const JsonTree& merge) const {
    if (merge.is(Kind::kString)) {
      const std::string_view text = merge.text;
      const size_t space = text.find(' ');
      if (space != text.npos && text.find(' ', space + 1) == text.npos)
        return {text.substr(0, space), text.substr(space + 1)};
    } else if (merge.is(Kind::kArray) && merge.members.size() == 2) {
      const JsonTree &left = merge.members[0].value, &right = merge.members[1].value;
      if (left.is(Kind::kString) && right.is(Kind::kString)) return {left.text, right.text};
    }
    refuse("model.merges", &merge);
  }

  std::string_view where_;
  JsonTree root_;
  TokenizerSpec spec_;
};

}  // namespace

TokenizerSpec parse_tokenizer_spec(std::string_view json, std::string_view where) {
  return Parser(json, where).run();
}

}  // namespace ll
