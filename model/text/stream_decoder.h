#pragma once
// The text of one sequence while its tokens arrive.
#include <cstdint>
#include <string>

#include "model/text/tokenizer.h"

namespace ll {

class StreamDecoder {
 public:
  // The tokenizer outlives the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = true)
      : tokenizer_(&tokenizer), skip_special_tokens_(skip_special_tokens) {}

  // The characters that are complete with this token; a begun one waits. All that push and flush
  // return, joined, is what Tokenizer::decode returns for the tokens together.
  std::string push(int32_t id);
  // The end of the sequence: a character that was never completed becomes U+FFFD.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  std::string pending_;  // at most 3 bytes, the beginning of a character
};

}  // namespace ll
