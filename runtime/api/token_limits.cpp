#include "runtime/api/token_limits.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/printable.h"

namespace ll {
namespace {

constexpr size_t kMaxBiases = 1024, kMaxBadWords = 1024;
constexpr float kForbidden = -std::numeric_limits<float>::infinity();

using Kind = JsonTree::Kind;

void read_biases(const JsonFields& body, const CompletionContext& context, SamplingParams& p) {
  const JsonTree* biases = body.find("logit_bias");
  if (!biases) return;
  check(biases->is(Kind::kObject) && biases->members.size() <= kMaxBiases,
        "logit_bias: must map at most {} token ids to numbers", kMaxBiases);
  for (const auto& [key, value] : biases->members) {
    int32_t id = -1;
    auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    check(error == std::errc() && end == key.data() + key.size() && id >= 0 &&
              id < context.vocab_size,
          "logit_bias: {} is not a token id", printable(key, 40));
    double bias = number_of(value, "logit_bias");
    check(std::abs(bias) <= 100, "logit_bias: {} is outside -100 to 100", shown(value));
    p.logit_bias.emplace_back(id, static_cast<float>(bias));
  }
}

void forbid(std::vector<int32_t> word, SamplingParams& p) {
  if (word.size() == 1)
    p.logit_bias.emplace_back(word[0], kForbidden);
  else
    p.bad_words.push_back(std::move(word));
}

// The word as it stands at the start of a text, and behind a space where its tokens are others.
// (vLLM leaves those out when they are more or fewer.)
void read_bad_word(const std::string& text, const Tokenizer& tokenizer, SamplingParams& p) {
  size_t begin = text.find_first_not_of(" \t\r\n");
  check(begin != text.npos, "bad_words: must be words, not blanks");
  std::string word = text.substr(begin);
  std::vector<int32_t> alone = tokenizer.encode(word), behind_space = tokenizer.encode(" " + word);
  bool is_covered = alone.size() <= behind_space.size() &&
                    std::equal(alone.rbegin(), alone.rend(), behind_space.rbegin());
  forbid(std::move(alone), p);
  if (!is_covered) forbid(std::move(behind_space), p);
}

void read_bad_words(const JsonFields& body, const CompletionContext& context, SamplingParams& p) {
  const JsonTree* words = body.find("bad_words");
  if (!words) return;
  check(words->is(Kind::kArray) && words->members.size() <= kMaxBadWords,
        "bad_words: must be a list of at most {} strings", kMaxBadWords);
  check(words->members.empty() || context.tokenizer,
        "bad_words: this model has no tokenizer; use logit_bias");
  for (const auto& [key, word] : words->members) {
    check(word.is(Kind::kString), "bad_words: {} is not a string", shown(word));
    read_bad_word(word.text, *context.tokenizer, p);
  }
}

void read_allowed(const JsonFields& body, const CompletionContext& context, SamplingParams& p) {
  const JsonTree* ids = body.find("allowed_token_ids");
  if (!ids) return;
  check(ids->is(Kind::kArray) && !ids->members.empty(),
        "allowed_token_ids: must be a list of token ids, at least one");
  for (const auto& [key, id] : ids->members)
    p.allowed_token_ids.push_back(token_id(id, "allowed_token_ids", context));
  auto is_open = [&](int32_t id) {
    return std::none_of(p.logit_bias.begin(), p.logit_bias.end(),
                        [&](const auto& b) { return b.first == id && b.second == kForbidden; });
  };
  check(std::any_of(p.allowed_token_ids.begin(), p.allowed_token_ids.end(), is_open),
        "allowed_token_ids: bad_words forbids all of them");
  p.only_allowed = 1;
}

}  // namespace

int32_t token_id(const JsonTree& value, const char* name, const CompletionContext& context) {
  auto id = whole_number_of(value);
  check(id.has_value(), "{}: {} is not a token id", name, shown(value));
  check(*id >= 0 && *id < context.vocab_size, "{}: token id {} is outside the vocabulary of {}",
        name, *id, context.vocab_size);
  return static_cast<int32_t>(*id);
}

void read_token_limits(const JsonFields& body, const CompletionContext& context,
                       SamplingParams& p) {
  read_biases(body, context, p);
  read_bad_words(body, context, p);
  read_allowed(body, context, p);
}

}  // namespace ll
