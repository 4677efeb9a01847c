#pragma once
// The text of one answer as its tokens arrive, and the search for stop strings, which may span
// tokens. Special tokens end an answer by their text even where they are skipped.
#include <optional>
#include <string>
#include <vector>

#include "model/text/stream_decoder.h"
#include "runtime/api/completion.h"

namespace ll {

class TextOutput {
 public:
  // Both outlive this. Without a tokenizer the text stays empty. Stop strings that are complete
  // before the token number `min_tokens` do not count.
  TextOutput(const Tokenizer* tokenizer, const TextParams& params, int32_t min_tokens);

  // Whether a stop string is complete with this token; the text then ends before it (or with it,
  // include_stop_str_in_output).
  bool push(int32_t token);
  // No more tokens.
  void finish();

  const std::string& text() const { return text_; }
  std::string take_text() { return std::move(text_); }
  // What has come to text() since the last call and will stay: the beginning of what may become a
  // stop string is held back until that is known. After the end nothing is.
  std::string take_settled();
  bool is_stopped() const { return is_stopped_; }

 private:
  struct Found {
    size_t begin = std::string::npos;
    const std::string* stop = nullptr;
  };
  // A special token that is not in text_.
  struct Skipped {
    size_t in_whole;  // where it begins
    size_t in_text;   // where it would
  };

  void push_whole(int32_t token);
  bool find_stop();
  Found find(const std::vector<std::string>& stops, const std::string& text, size_t searched) const;
  size_t place_in_text(size_t in_whole) const;
  size_t num_unsettled() const;

  const TextParams& params_;
  int32_t min_tokens_;
  const Tokenizer* tokenizer_;
  std::optional<StreamDecoder> decoder_;
  std::string text_;
  size_t num_searched_ = 0;  // of text_
  // Where stop strings have special tokens and the text has none: the text with them.
  std::vector<std::string> special_stops_;
  std::optional<StreamDecoder> whole_decoder_;
  std::string whole_;
  size_t num_whole_searched_ = 0;
  std::vector<Skipped> skipped_;
  size_t num_taken_ = 0;
  bool is_stopped_ = false, is_finished_ = false;
  int32_t num_tokens_ = 0;
};

}  // namespace ll
