// tokenizer.json is input from outside: any bytes give a tokenizer or an Error, and what a
// tokenizer encodes it decodes. Every input is taken twice: as a whole file, and as the parts of a
// valid one.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/stream_decoder.h"
#include "model/text/tokenizer.h"

namespace {

using Json = nlohmann::json;
using ll::Tokenizer;

std::string repaired(std::string_view bytes) {
  std::string text;
  ll::append_repaired(text, bytes, true);
  return text;
}

std::string_view take_until(char end, std::string_view& rest) {
  std::string_view part = rest.substr(0, rest.find(end));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return part;
}

// The regular expression, a line of merges between commas, up to four lines of added tokens with
// their flags in the first byte.
std::string file_of_parts(std::string_view rest) {
  Json vocab = Json::object();
  for (int byte = 0, next = 256; byte < 256; ++byte) {
    bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    std::string token;
    ll::append_utf8(token, static_cast<char32_t>(printable ? byte : next++));
    vocab[token] = byte;
  }
  std::string regex = repaired(take_until('\n', rest));
  Json merges = Json::array();
  for (std::string_view pairs = take_until('\n', rest); !pairs.empty();) {
    std::string_view pair = take_until(',', pairs);
    std::string left = repaired(pair.substr(0, pair.size() / 2));
    std::string right = repaired(pair.substr(pair.size() / 2));
    if (!vocab.contains(left + right)) vocab[left + right] = vocab.size();
    merges.push_back({left, right});
  }
  Json added = Json::array();
  for (int i = 0; i < 4 && !rest.empty(); ++i) {
    std::string_view line = take_until('\n', rest);
    if (line.size() < 2) continue;
    auto flags = static_cast<unsigned char>(line[0]);
    added.push_back({{"id", vocab.size() + added.size()},
                     {"content", repaired(line.substr(1))},
                     {"special", (flags & 1) != 0},
                     {"normalized", (flags & 2) != 0},
                     {"lstrip", (flags & 4) != 0},
                     {"rstrip", (flags & 8) != 0},
                     {"single_word", (flags & 16) != 0}});
  }
  Json split = {{"type", "Split"},
                {"pattern", {{"Regex", regex}}},
                {"behavior", "Isolated"},
                {"invert", false}};
  Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  Json file = {
      {"added_tokens", added},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
  return file.dump();
}

void run(std::string_view json, std::string_view bytes) try {
  Tokenizer tokenizer = Tokenizer::from_json(json, "fuzz");
  std::string text = repaired(bytes);
  std::vector<int32_t> ids = tokenizer.encode(text);
  std::string decoded = tokenizer.decode(ids, false);
  ll::StreamDecoder stream(tokenizer, false);
  std::string streamed;
  for (int32_t id : ids) streamed += stream.push(id);
  streamed += stream.flush();
  if (streamed != decoded) std::abort();
} catch (const ll::Error&) {
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  run(bytes, bytes);
  run(file_of_parts(bytes), bytes);
  return 0;
}
