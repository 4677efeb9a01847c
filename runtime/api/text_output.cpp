#include "runtime/api/text_output.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ll {

TextOutput::TextOutput(const Tokenizer* tokenizer, const TextParams& params, int32_t min_tokens)
    : params_(params), min_tokens_(min_tokens) {
  if (tokenizer) decoder_.emplace(*tokenizer, params.skip_special_tokens);
}

bool TextOutput::push(int32_t token) {
  ++num_tokens_;
  size_t before = text_.size();
  if (decoder_) text_ += decoder_->push(token);
  return num_tokens_ >= min_tokens_ && find_stop(before);
}

void TextOutput::finish() {
  is_finished_ = true;
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

std::string TextOutput::take_settled() {
  size_t end = text_.size();
  if (!is_stopped_ && !is_finished_) end -= num_unsettled();
  size_t begin = std::exchange(num_taken_, end);
  return text_.substr(begin, end - begin);
}

// Bytes at the end of the text that a stop string begins with.
size_t TextOutput::num_unsettled() const {
  size_t longest = 0;
  std::string_view text = text_;
  for (std::string_view stop : params_.stop)
    for (size_t n = std::min(stop.size() - 1, text.size()); n > longest; --n)
      if (text.ends_with(stop.substr(0, n))) longest = n;
  return longest;
}

}  // namespace ll
