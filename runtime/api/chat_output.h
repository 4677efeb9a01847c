#pragma once
// What the text of a chat's answer is made of, as it comes: reasoning (<think>...</think>),
// content, and calls of tools (<tool_call>{"name": ..., "arguments": ...}</tool_call>), as Qwen
// writes them.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/api/call_reader.h"

namespace ll {

struct ChatPiece {
  enum class Kind : uint8_t { kReasoning, kContent, kCall, kArguments };
  Kind kind = Kind::kContent;
  std::string text;  // of kCall: the name of the function
  int32_t call = 0;  // of kCall and kArguments: which one
};

// What to look for; text that is not looked into is content.
struct ChatMarkup {
  bool has_reasoning = false;
  bool begins_in_reasoning = false;  // the prompt ends with <think>
  bool has_calls = false;

  bool is_any() const { return has_reasoning || begins_in_reasoning || has_calls; }
  bool operator==(const ChatMarkup&) const = default;
};

class ChatOutput {
 public:
  explicit ChatOutput(const ChatMarkup& markup);

  // What is certain now. The texts of arguments, one behind the other, are JSON as the model wrote
  // it.
  std::vector<ChatPiece> push(std::string_view text);
  // The rest: what looked like the beginning of something and was none is content.
  std::vector<ChatPiece> finish();

  int32_t num_calls() const { return num_calls_; }

 private:
  enum class State : uint8_t { kStart, kReasoning, kContent, kCall };

  bool advance(bool is_end);
  bool advance_start(bool is_end);
  bool advance_reasoning(bool is_end);
  bool advance_content(bool is_end);
  bool advance_call(bool is_end);
  size_t num_without_blanks(size_t size) const;
  void drop(size_t count, size_t num_blanks);
  void drop_first_blanks();
  size_t find_call_end();
  void emit(ChatPiece::Kind kind, std::string text);

  ChatMarkup markup_;
  State state_;
  std::string pending_;    // text that has no meaning yet
  size_t num_blanks_ = 0;  // with which it begins, as far as is known
  std::vector<ChatPiece> pieces_;
  int32_t num_calls_ = 0;
  CallReader call_;            // that is open
  bool has_name_ = false;      // which is out
  size_t num_arguments_ = 0;   // bytes of its arguments that are out
  size_t num_searched_ = 0;    // bytes of the pending text that hold no end of it
  bool skips_blanks_ = false;  // between reasoning and content
};

}  // namespace ll
