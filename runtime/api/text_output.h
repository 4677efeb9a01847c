#pragma once
// The text of one answer as its tokens arrive, and the search for stop strings, which may span
// tokens.
#include <optional>
#include <string>

#include "model/text/stream_decoder.h"
#include "runtime/schedule/request.h"

namespace ll {

class TextOutput {
 public:
  // Both outlive this. Without a tokenizer the text stays empty.
  TextOutput(const Tokenizer* tokenizer, const SamplingParams& params);

  // Whether a stop string is complete with this token; the text then ends before it (or with it,
  // include_stop_str_in_output).
  bool push(int32_t token);
  // No more tokens.
  void finish();

  const std::string& text() const { return text_; }
  bool is_stopped() const { return is_stopped_; }

 private:
  bool find_stop(size_t searched);

  const SamplingParams& params_;
  std::optional<StreamDecoder> decoder_;
  std::string text_;
  bool is_stopped_ = false;
  int32_t num_tokens_ = 0;
};

}  // namespace ll
