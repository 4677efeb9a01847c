#include "model/text/stream_decoder.h"

#include <utility>

#include "base/utf8.h"

namespace ll {

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_tokens_ && tokenizer_->is_special(id)) return {};
  pending_ += tokenizer_->token_bytes(id);
  std::string text;
  pending_.erase(0, append_repaired(text, pending_, false));
  return text;
}

std::string StreamDecoder::flush() {
  std::string text;
  append_repaired(text, std::exchange(pending_, {}), true);
  return text;
}

}  // namespace ll
