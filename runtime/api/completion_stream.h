#pragma once
// OpenAI's chunks of an answer that comes piece by piece.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/api/answer.h"
#include "runtime/api/completion.h"

namespace ll {

class CompletionStream {
 public:
  // `id` and `created` as for completion_body(). The tokenizer may be null.
  CompletionStream(std::shared_ptr<const CompletionRequest> request, std::string_view id,
                   int64_t created, const Tokenizer* tokenizer);

  // The chunks, JSON in one line each, that a delta of the request adds: none for a token whose
  // text is still held back.
  std::vector<std::string> push(const Delta& delta);
  // The last chunk, of no choice; empty unless usage was asked for.
  std::string finish(const Usage& usage) const;

 private:
  struct ChoiceState {
    bool has_begun = false;
    std::optional<ChatOutput> output;  // where the text of a chat is looked into
    int64_t place = 0;                 // characters in front of `text`
    std::string text;                  // whose tokens are all in `scored`
    std::vector<TokenLogprob> scored;  // whose text may yet come
  };
  // What a chunk says of its choice: parts of its JSON.
  struct Piece {
    std::string text, logprobs = "null", more;
  };

  std::string chunk(int32_t index, const std::string& content, std::string_view logprobs,
                    std::string_view finish_reason, std::string_view more) const;
  void begin(const Delta& delta, ChoiceState& state, Piece& piece) const;
  std::string completion_logprobs(const Delta& delta, ChoiceState& state) const;
  std::vector<std::string> pieces_of(const Delta& delta, ChoiceState& state, Piece& piece) const;
  std::string content_of(const Piece& piece, bool is_end) const;

  std::shared_ptr<const CompletionRequest> request_;
  const Tokenizer* tokenizer_;
  bool is_chat_;
  std::string id_;
  std::string head_;  // of every chunk, up to its choices
  std::vector<ChoiceState> choices_;
  int64_t num_prompt_tokens_ = 0, num_tokens_ = 0;
};

}  // namespace ll
