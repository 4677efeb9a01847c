#include "runtime/api/text_output.h"

#include <algorithm>

namespace ll {

TextOutput::TextOutput(const Tokenizer* tokenizer, const SamplingParams& params) : params_(params) {
  if (tokenizer) decoder_.emplace(*tokenizer, params.skip_special_tokens);
}

bool TextOutput::push(int32_t token) {
  ++num_tokens_;
  size_t before = text_.size();
  if (decoder_) text_ += decoder_->push(token);
  return num_tokens_ >= params_.min_tokens && find_stop(before);
}

void TextOutput::finish() {
  if (is_stopped_) return;
  size_t before = text_.size();
  if (decoder_) text_ += decoder_->flush();
  find_stop(before);
}

// The earliest stop string that ends in text_[searched, ...).
bool TextOutput::find_stop(size_t searched) {
  size_t best = std::string::npos, end = 0;
  for (const std::string& stop : params_.stop) {
    size_t from = searched >= stop.size() ? searched - stop.size() + 1 : 0;
    size_t at = text_.find(stop, from);
    if (at < best) best = at, end = at + stop.size();
  }
  if (best == std::string::npos) return false;
  text_.resize(params_.include_stop_str_in_output ? end : best);
  return is_stopped_ = true;
}

}  // namespace ll
