#include "runtime/api/logprob_json.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/json_tree.h"
#include "base/utf8.h"
#include "runtime/api/token_names.h"

namespace ll {
namespace {

template <class N>
void append_digits(std::string& out, N value) {
  std::array<char, 32> digits;
  out.append(digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr);
}

// Null where there is none.
void append_number(std::string& out, float value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  size_t begin = out.size();
  append_digits(out, value);
  if (out.find_first_of(".e", begin) == std::string::npos) out += ".0";
}

void append_comma(std::string& list) {
  if (!list.empty()) list += ',';
}

// Tokens as the entries of chats and prompts show them.
class Entries {
 public:
  Entries(const CompletionRequest& request, const Tokenizer* tokenizer)
      : tokenizer_(tokenizer), has_texts_(tokenizer && !request.return_tokens_as_token_ids) {}

  // A token's text, with U+FFFD for parts of characters.
  void append_text(std::string& out, int32_t token) {
    if (!has_texts_) return append_json_string(out, number_name(token));
    std::string_view bytes = tokenizer_->token_bytes(token);
    if (find_invalid_utf8(bytes) == std::string_view::npos) return append_json_string(out, bytes);
    repaired_.clear();
    append_repaired(repaired_, bytes, true);
    append_json_string(out, repaired_);
  }
  // All of a chat's entry but its end.
  void append_scored(std::string& out, int32_t token, float logprob) {
    out += R"({"token":)";
    append_text(out, token);
    out += R"(,"logprob":)";
    append_number(out, logprob);
    out += R"(,"bytes":[)";
    if (tokenizer_) append_bytes(out, tokenizer_->token_bytes(token));
    out += ']';
  }

 private:
  static void append_bytes(std::string& out, std::string_view bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (i > 0) out += ',';
      append_digits(out, static_cast<unsigned char>(bytes[i]));
    }
  }

  const Tokenizer* tokenizer_;
  bool has_texts_;
  std::string repaired_;
};

}  // namespace

std::string chat_logprobs(const CompletionRequest& r, std::span<const TokenLogprob> logprobs,
                          const Tokenizer* tokenizer) {
  Entries entries(r, tokenizer);
  std::string out = R"({"content":[)";
  for (const TokenLogprob& t : logprobs) {
    if (&t != logprobs.data()) out += ',';
    entries.append_scored(out, t.token, t.logprob);
    out += R"(,"top_logprobs":[)";
    for (const auto& one : t.top) {
      if (&one != t.top.data()) out += ',';
      entries.append_scored(out, one.first, one.second);
      out += '}';
    }
    out += "]}";
  }
  return out += "]}";
}

std::string prompt_logprobs_json(const CompletionRequest& r, std::span<const TokenLogprob> scores,
                                 const Tokenizer* tokenizer) {
  Entries entries(r, tokenizer);
  std::string out = "[null";
  auto add = [&](int32_t token, float logprob, size_t rank) {
    out += '"';
    append_digits(out, token);
    out += R"(":{"logprob":)";
    append_number(out, logprob);
    out += R"(,"rank":)";
    if (rank > 0)
      append_digits(out, rank);
    else
      out += "null";
    out += R"(,"decoded_token":)";
    entries.append_text(out, token);
    out += '}';
  };
  for (const TokenLogprob& t : scores) {
    auto top = std::span(t.top).first(
        std::min(t.top.size(), static_cast<size_t>(std::max(r.prompt_logprobs, 0))));
    auto own =
        std::find_if(top.begin(), top.end(), [&](auto& one) { return one.first == t.token; });
    size_t rank = own == top.end() ? 0 : static_cast<size_t>(own - top.begin()) + 1;
    out += ",{";
    add(t.token, t.logprob, rank);
    for (size_t i = 0; i < top.size(); ++i) {
      if (i + 1 == rank) continue;
      out += ',';
      add(top[i].first, top[i].second, i + 1);
    }
    out += '}';
  }
  return out += ']';
}

PlacedTokens LogprobLists::placed(std::string_view text, bool skips_special_tokens,
                                  std::span<const int32_t> ids) const {
  if (tokenizer_) return place_tokens(*tokenizer_, text, skips_special_tokens, ids);
  PlacedTokens all;
  for (int32_t id : ids) all.tokens.push_back({.id = id});
  return all;
}

void LogprobLists::add_answer(const CompletionRequest& r, std::span<const TokenLogprob> scores,
                              std::string_view text) {
  std::vector<int32_t> ids;
  for (const TokenLogprob& t : scores) ids.push_back(t.token);
  PlacedTokens all = placed(text, r.text.skip_special_tokens, ids);
  for (size_t i = 0; i < scores.size(); ++i) add(all.tokens[i], &scores[i]);
  place_ += all.length;
}

void LogprobLists::add_prompt(const CompletionRequest& r, size_t prompt,
                              std::span<const TokenLogprob> scores, std::string_view echo) {
  PlacedTokens all = placed(echo, /*skips_special_tokens=*/false, r.prompts[prompt]);
  for (size_t i = 0; i < all.tokens.size(); ++i)
    add(all.tokens[i], i == 0 ? nullptr : &scores[i - 1]);
  place_ += all.length;
}

void LogprobLists::add(const PlacedToken& token, const TokenLogprob* scored) {
  for (std::string* list : {&tokens_, &logprobs_, &top_, &offsets_}) append_comma(*list);
  std::string name = name_of(token);
  append_json_string(tokens_, name);
  append_digits(offsets_, place_ + token.place);
  if (!scored) {
    logprobs_ += "null", top_ += "null";
    return;
  }
  append_number(logprobs_, scored->logprob);
  add_top(*scored, name);
}

// Put together the names are the text: a part of a character stands for what of it is there.
std::string LogprobLists::name_of(const PlacedToken& token) const {
  if (!has_texts_) return number_name(token.id);
  bool is_text = find_invalid_utf8(tokenizer_->token_bytes(token.id)) == std::string_view::npos;
  return is_text ? name_of_token(token.id, tokenizer_) : std::string(token.piece);
}

std::string LogprobLists::json() const {
  std::string out;
  out.reserve(tokens_.size() + logprobs_.size() + top_.size() + offsets_.size() + 80);
  out.append(R"({"tokens":[)").append(tokens_);
  out.append(R"(],"token_logprobs":[)").append(logprobs_);
  out.append(R"(],"top_logprobs":[)").append(top_);
  out.append(R"(],"text_offset":[)").append(offsets_);
  return out += "]}";
}

// An entry for each token, the drawn one under the name it has in tokens; another one that spells
// the same has its number for a name.
void LogprobLists::add_top(const TokenLogprob& scored, const std::string& drawn) {
  names_.clear();
  auto is_there = [&](const std::string& name) {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  };
  auto add_one = [&](std::string name, float logprob) {
    if (!names_.empty()) top_ += ',';
    append_json_string(top_, name);
    top_ += ':';
    append_number(top_, logprob);
    names_.push_back(std::move(name));
  };
  top_ += '{';
  const Tokenizer* tokenizer = has_texts_ ? tokenizer_ : nullptr;
  for (auto [id, logprob] : std::span(scored.top).first(std::min(num_top_, scored.top.size()))) {
    if (id == scored.token) {
      add_one(drawn, scored.logprob);
      continue;
    }
    std::string name = name_of_token(id, tokenizer);
    bool is_taken = name == drawn || is_there(name);
    add_one(is_taken ? number_name(id) : std::move(name), logprob);
  }
  if (!is_there(drawn)) add_one(drawn, scored.logprob);
  top_ += '}';
}

}  // namespace ll
