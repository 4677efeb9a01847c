#include "model/text/stream_decoder.h"

#include <doctest/doctest.h>

#include <random>

#include "base/utf8.h"
#include "tests/unit/model/text/tokenizer_data.h"

namespace {

using Ids = std::vector<int32_t>;
using ll::StreamDecoder;
using ll::Tokenizer;
using ll::test::qwen25;
using ll::test::tiny_docs;

// Random ids, half of them single bytes, which seldom make whole characters; some without a token.
Ids random_ids(std::mt19937& random, const Tokenizer& tokenizer) {
  Ids ids(random() % 30);
  auto num_ids = static_cast<uint32_t>(tokenizer.vocab_size());
  for (int32_t& id : ids)
    id = static_cast<int32_t>(random() % 2 ? random() % 256 : random() % (num_ids + 200));
  return ids;
}

void check_stream(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (int32_t id : ids) {
    std::string part = decoder.push(id);
    CHECK(ll::find_invalid_utf8(part) == std::string::npos);
    text += part;
  }
  text += decoder.flush();
  CHECK(text == tokenizer.decode(ids, skip_special));
  CHECK(decoder.flush() == "");
}

}  // namespace

TEST_CASE("a stream of random tokens gives the text of the whole") {
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round)
    for (const Tokenizer* tokenizer : {&qwen25(), &tiny_docs()})
      check_stream(*tokenizer, random_ids(random, *tokenizer), round % 2 == 0);
}

TEST_CASE("a character comes with its last token") {
  const Tokenizer& t = tiny_docs();
  Ids ids = t.encode("é😀");
  REQUIRE(ids.size() == 6);
  StreamDecoder decoder(t);
  std::vector<std::string> parts;
  for (int32_t id : ids) parts.push_back(decoder.push(id));
  CHECK(parts == std::vector<std::string>{"", "é", "", "", "", "😀"});
}

TEST_CASE("what can no longer become a character comes at once, the rest with flush") {
  const Tokenizer& t = tiny_docs();
  Ids ids = t.encode("😀");
  StreamDecoder decoder(t);
  CHECK(decoder.push(ids[0]) == "");
  CHECK(decoder.push(ids[1]) == "");
  CHECK(decoder.push(64) == "\uFFFDa");
  CHECK(decoder.push(ids[0]) == "");
  CHECK(decoder.flush() == "\uFFFD");
  CHECK(decoder.push(64) == "a");
}

TEST_CASE("special tokens are skipped or shown") {
  int32_t end = *qwen25().id_of("<|im_end|>");
  CHECK(StreamDecoder(qwen25()).push(end) == "");
  CHECK(StreamDecoder(qwen25(), false).push(end) == "<|im_end|>");
}
