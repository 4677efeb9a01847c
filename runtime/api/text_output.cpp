#include "runtime/api/text_output.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ll {

TextOutput::TextOutput(const Tokenizer* tokenizer, const TextParams& params, int32_t min_tokens)
    : params_(params), min_tokens_(min_tokens), tokenizer_(tokenizer) {
  if (!tokenizer) return;
  decoder_.emplace(*tokenizer, params.skip_special_tokens);
  if (params.skip_special_tokens) special_stops_ = params.special_stops;
  if (!special_stops_.empty()) whole_decoder_.emplace(*tokenizer, false);
}

bool TextOutput::push(int32_t token) {
  ++num_tokens_;
  if (decoder_) text_ += decoder_->push(token);
  if (whole_decoder_) push_whole(token);
  if (num_tokens_ >= min_tokens_) return find_stop();
  num_searched_ = text_.size(), num_whole_searched_ = whole_.size();
  return false;
}

void TextOutput::push_whole(int32_t token) {
  whole_ += whole_decoder_->push(token);
  if (tokenizer_->is_special(token))
    skipped_.push_back({whole_.size() - tokenizer_->token_bytes(token).size(), text_.size()});
}

void TextOutput::finish() {
  is_finished_ = true;
  if (is_stopped_) return;
  if (decoder_) text_ += decoder_->flush();
  if (whole_decoder_) whole_ += whole_decoder_->flush();
  find_stop();
}

// The earliest stop string that ends in what has come since the last search.
bool TextOutput::find_stop() {
  Found found = find(params_.stop, text_, num_searched_);
  Found special = find(special_stops_, whole_, num_whole_searched_);
  num_searched_ = text_.size(), num_whole_searched_ = whole_.size();
  if (special.stop) special.begin = place_in_text(special.begin);
  if (special.begin < found.begin) found = special;
  if (!found.stop) return false;
  text_.resize(found.begin);
  if (params_.include_stop_str_in_output) text_ += *found.stop;
  return is_stopped_ = true;
}

// The earliest of those that end in text[searched, ...).
TextOutput::Found TextOutput::find(const std::vector<std::string>& stops, const std::string& text,
                                   size_t searched) const {
  Found best;
  for (const std::string& stop : stops) {
    size_t from = searched >= stop.size() ? searched - stop.size() + 1 : 0;
    size_t at = text.find(stop, from);
    if (at < best.begin) best = {at, &stop};
  }
  return best;
}

// Where a stop string with a special token in it begins: at most its length in front of the token.
size_t TextOutput::place_in_text(size_t in_whole) const {
  auto first = std::lower_bound(skipped_.begin(), skipped_.end(), in_whole,
                                [](const Skipped& s, size_t at) { return s.in_whole < at; });
  if (first == skipped_.end()) return text_.size();
  size_t before = std::min(first->in_whole - in_whole, first->in_text);
  return first->in_text - before;
}

std::string TextOutput::take_settled() {
  size_t end = text_.size();
  if (!is_stopped_ && !is_finished_) end -= std::min(num_unsettled(), end);
  end = std::max(end, num_taken_);
  size_t begin = std::exchange(num_taken_, end);
  return text_.substr(begin, end - begin);
}

// Bytes at the end of the text that a stop string begins with, or more where special tokens stand
// among them.
size_t TextOutput::num_unsettled() const {
  size_t longest = 0;
  auto look = [&](const std::vector<std::string>& stops, std::string_view text) {
    for (std::string_view stop : stops)
      for (size_t n = std::min(stop.size() - 1, text.size()); n > longest; --n)
        if (text.ends_with(stop.substr(0, n))) longest = n;
  };
  look(params_.stop, text_);
  look(special_stops_, whole_);
  return longest;
}

}  // namespace ll
