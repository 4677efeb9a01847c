#include "model/text/tokenizer_spec.h"

#include <algorithm>
#include <unordered_set>
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
    if (const JsonTree* value = root_.find("post_processor")) post_processor(*value);
    decoder(root_.find("decoder"));
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

  static bool is_type(const JsonTree& value, std::string_view type) {
    return is_text(value.find("type"), type);
  }
  // The parts of a Sequence; nothing of anything else.
  const JsonTree* parts_of(const JsonTree& value, std::string_view key) const {
    const JsonTree* parts = is_type(value, "Sequence") ? value.find(key) : nullptr;
    return parts && parts->is(Kind::kArray) ? parts : nullptr;
  }

  void normalizer() {
    const JsonTree* value = root_.find("normalizer");
    if (value) normalizer(*value);
  }
  void normalizer(const JsonTree& value) {
    if (const JsonTree* parts = parts_of(value, "normalizers"))
      for (const JsonTree::Member& part : parts->members) normalizer(part.value);
    else if (is_type(value, "NFC"))
      spec_.nfc = true;
    else
      refuse("normalizer", &value);
  }

  // Steps of which ByteLevel is the last.
  void pre_tokenizer() {
    const JsonTree& top = object(root_, "pre_tokenizer", "pre_tokenizer");
    std::vector<const JsonTree*> steps;
    collect_steps(top, steps);
    for (size_t i = 0; i < steps.size(); ++i) {
      bool is_last = i + 1 == steps.size();
      if (is_type(*steps[i], "ByteLevel") != is_last) refuse("pre_tokenizer", &top);
      pre_tokenizer_step(*steps[i]);
    }
    if (steps.empty()) refuse("pre_tokenizer", &top);
  }

  void collect_steps(const JsonTree& value, std::vector<const JsonTree*>& steps) const {
    const JsonTree* parts = parts_of(value, "pretokenizers");
    if (!parts) return steps.push_back(&value);
    for (const JsonTree::Member& part : parts->members) collect_steps(part.value, steps);
  }

  void pre_tokenizer_step(const JsonTree& value) {
    SplitStep step;
    if (is_type(value, "ByteLevel")) {
      step.prefix_space = flag(value, "add_prefix_space", true);
      if (flag(value, "use_regex", true)) step.regex = kByteLevelRegex;
    } else if (is_type(value, "Digits")) {
      step.regex = R"(\p{N})";
      if (!flag(value, "individual_digits", false))
        step.behavior = SplitStep::Behavior::kContiguous;
    } else if (is_type(value, "Split")) {
      step = split_step(value);
    } else {
      refuse("pre_tokenizer", &value);
    }
    spec_.steps.push_back(std::move(step));
  }

  SplitStep split_step(const JsonTree& value) const {
    constexpr std::pair<std::string_view, SplitStep::Behavior> kBehaviors[] = {
        {"Isolated", SplitStep::Behavior::kIsolated},
        {"Removed", SplitStep::Behavior::kRemoved},
        {"Contiguous", SplitStep::Behavior::kContiguous},
        {"MergedWithPrevious", SplitStep::Behavior::kMergedWithPrevious},
        {"MergedWithNext", SplitStep::Behavior::kMergedWithNext}};
    SplitStep step{.regex = pattern_of(value), .invert = flag(value, "invert", false)};
    for (auto [name, behavior] : kBehaviors) {
      if (!is_text(value.find("behavior"), name)) continue;
      step.behavior = behavior;
      return step;
    }
    refuse("pre_tokenizer", &value);
  }

  // A regular expression, or a text as one.
  std::string pattern_of(const JsonTree& split) const {
    const JsonTree* pattern = split.find("pattern");
    const JsonTree* regex = pattern ? pattern->find("Regex") : nullptr;
    const JsonTree* text = pattern ? pattern->find("String") : nullptr;
    if (regex && regex->is(Kind::kString) && !regex->text.empty()) return regex->text;
    if (!text || !text->is(Kind::kString) || text->text.empty()) refuse("pre_tokenizer", &split);
    std::string escaped;
    for (char c : text->text) {
      constexpr std::string_view kSpecial = R"(\.?*+-^$|(){}[])";
      if (kSpecial.find(c) != kSpecial.npos) escaped += '\\';
      escaped += c;
    }
    return escaped;
  }

  // What later processors put around stands outside.
  void post_processor(const JsonTree& value) {
    if (const JsonTree* parts = parts_of(value, "processors"))
      for (const JsonTree::Member& part : parts->members) post_processor(part.value);
    else if (is_type(value, "TemplateProcessing"))
      template_processing(value);
    else if (!is_type(value, "ByteLevel"))
      refuse("post_processor", &value);
  }

  void template_processing(const JsonTree& value) {
    const JsonTree* single = value.find("single");
    if (!single || !single->is(Kind::kArray)) refuse("post_processor", &value);
    std::vector<int32_t> before, after;
    bool has_text = false;
    for (const JsonTree::Member& member : single->members) {
      const JsonTree* special = member.value.find("SpecialToken");
      const JsonTree* sequence = member.value.find("Sequence");
      if (special)
        special_ids(value, *special, has_text ? after : before);
      else if (sequence && is_text(sequence->find("id"), "A") && !has_text)
        has_text = true;
      else
        refuse("post_processor", &value);
    }
    if (!has_text) refuse("post_processor", &value);
    spec_.prefix.insert(spec_.prefix.begin(), before.begin(), before.end());
    spec_.suffix.insert(spec_.suffix.end(), after.begin(), after.end());
  }

  void special_ids(const JsonTree& processor, const JsonTree& special,
                   std::vector<int32_t>& ids) const {
    const JsonTree *name = special.find("id"), *tokens = processor.find("special_tokens");
    const JsonTree* token = name && tokens ? tokens->find(name->text) : nullptr;
    const JsonTree* list = token ? token->find("ids") : nullptr;
    if (!list || !list->is(Kind::kArray)) refuse("post_processor", &processor);
    for (const JsonTree::Member& id : list->members) ids.push_back(token_id(name->text, id.value));
  }

  void decoder(const JsonTree* value) const {
    const JsonTree* parts = value ? parts_of(*value, "decoders") : nullptr;
    if (parts && parts->members.size() == 1) value = &parts->members[0].value;
    if (!value || !is_type(*value, "ByteLevel")) refuse("decoder", value);
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
    flag(model, "byte_fallback", false);  // for characters without a token, and bytes have all
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
      bool special = flag(token, "special", false);
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
    std::optional<int64_t> id = value.integer();
    if (!id || *id < 0 || *id >= INT32_MAX) {  // not check: it would print every token
      fail("{}: token '{}' has the id {}: it must be an integer of 31 bits", where_,
           printable(token, 40), printable(value.python_dump(), 40));
    }
    return static_cast<int32_t>(*id);
  }

  void vocabulary(const JsonTree& vocab) {
    int64_t num_tokens = static_cast<int64_t>(vocab.members.size() + spec_.added.size());
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
    check_added_ids(vocab);
    find_bytes();
  }

  // Hugging Face's tokenizers gives tokens that are not in model.vocab the ids behind it, in the
  // order of the list, whatever ids the file gives them.
  void check_added_ids(const JsonTree& vocab) const {
    std::unordered_set<std::string_view> added, known;  // few, where the vocabulary is large
    for (const AddedToken& token : spec_.added) added.insert(token.content);
    for (const JsonTree::Member& member : vocab.members)
      if (added.contains(member.key)) known.insert(member.key);
    auto next = static_cast<int64_t>(vocab.members.size());
    for (const AddedToken& token : spec_.added) {
      if (!known.insert(token.content).second) continue;
      check(token.id == next,
            "{}: added token '{}' has the id {}, but is not in model.vocab, and Hugging Face's "
            "tokenizers would make it {}: give the added tokens ids without holes",
            where_, printable(token.content, 40), token.id, next);
      ++next;
    }
  }

  void add_token(const std::string& name, int32_t id) {
    if (spec_.tokens.has(id)) {
      fail("{}: id {} belongs to two tokens, one is '{}': the file is broken", where_, id,
           printable(name, 40));
    }
    std::optional<std::string> bytes = byte_level_bytes(name);
    spec_.tokens.add(id, bytes ? *bytes : name, bytes.has_value());
    if (!bytes) spec_.unwritable.emplace_back(name, id);
  }

  // An added token may be in the vocabulary, too, with the same id.
  void add_added(const AddedToken& token) {
    std::optional<std::string> bytes = byte_level_bytes(token.content);
    const std::string& spelled = bytes ? *bytes : token.content;
    int32_t other = bytes ? spec_.tokens.find(*bytes) : kNoToken;
    bool is_known = spec_.tokens.has(token.id);
    bool agrees = is_known ? spec_.tokens.bytes(token.id) == spelled : other == kNoToken;
    check(agrees,
          "{}: added token '{}' and its id {} do not agree with model.vocab: the file is broken",
          where_, printable(token.content, 40), token.id);
    if (!is_known) spec_.tokens.add(token.id, spelled, false);
  }

  void find_bytes() {
    for (size_t byte = 0; byte < spec_.byte_ids.size(); ++byte) {
      char c = static_cast<char>(byte);
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
      auto [left, right] = pair_of(merge);
      std::optional<std::string> left_bytes = byte_level_bytes(left);
      std::optional<std::string> right_bytes = byte_level_bytes(right);
      if (!left_bytes || !right_bytes) refuse("model.merges", &merge);
      Bpe::Merge ids = {spec_.tokens.find(*left_bytes), spec_.tokens.find(*right_bytes),
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
      std::string_view text = merge.text;
      size_t space = text.find(' ');
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
