#include "runtime/api/chat_output.h"

#include <algorithm>
#include <utility>

namespace ll {
namespace {

constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>", kCall = "<tool_call>",
                           kCallEnd = "</tool_call>", kBlanks = " \t\r\n";

// Bytes at the end of the text that `tag` begins with.
size_t num_begun(std::string_view text, std::string_view tag) {
  for (size_t n = std::min(text.size(), tag.size() - 1); n > 0; --n)
    if (text.ends_with(tag.substr(0, n))) return n;
  return 0;
}

size_t skip_blanks(std::string_view text, size_t at) {
  return std::min(text.find_first_not_of(kBlanks, at), text.size());
}

bool is_blank(char c) { return kBlanks.find(c) != kBlanks.npos; }

}  // namespace

ChatOutput::ChatOutput(const ChatMarkup& markup)
    : markup_(markup),
      state_(markup.begins_in_reasoning ? State::kReasoning
             : markup.has_reasoning     ? State::kStart
                                        : State::kContent) {}

std::vector<ChatPiece> ChatOutput::push(std::string_view text) {
  pending_ += text;
  while (advance(false)) {
  }
  return std::exchange(pieces_, {});
}

std::vector<ChatPiece> ChatOutput::finish() {
  while (advance(true)) {
  }
  emit(ChatPiece::Kind::kContent, std::exchange(pending_, {}));
  return std::exchange(pieces_, {});
}

void ChatOutput::emit(ChatPiece::Kind kind, std::string text) {
  if (!text.empty()) pieces_.push_back({kind, std::move(text), num_calls_ - 1});
}

// Takes what is certain off the pending text; whether there is more to do.
bool ChatOutput::advance(bool is_end) {
  switch (state_) {
    case State::kStart:
      return advance_start(is_end);
    case State::kReasoning:
      return advance_reasoning(is_end);
    case State::kContent:
      return advance_content(is_end);
    default:
      return advance_call(is_end);
  }
}

// Bytes of the first `size` that are pending up to the last that is no blank.
size_t ChatOutput::num_without_blanks(size_t size) const {
  while (size > num_blanks_ && is_blank(pending_[size - 1])) --size;
  return size > num_blanks_ ? size : 0;
}

// Takes the first `count` bytes off the pending text; `num_blanks` of the rest are known as blanks.
void ChatOutput::drop(size_t count, size_t num_blanks) {
  pending_.erase(0, count);
  num_blanks_ = num_blanks;
}

void ChatOutput::drop_first_blanks() {
  if (!skips_blanks_) return;
  drop(skip_blanks(pending_, 0), 0);
  skips_blanks_ = pending_.empty();
}

bool ChatOutput::advance_start(bool is_end) {
  num_blanks_ = skip_blanks(pending_, num_blanks_);
  std::string_view text = std::string_view(pending_).substr(num_blanks_);
  if (text.starts_with(kThink)) {
    drop(num_blanks_ + kThink.size(), 0);
    state_ = State::kReasoning;
    skips_blanks_ = true;
    return true;
  }
  if (!is_end && kThink.starts_with(text)) return false;
  state_ = State::kContent;
  return true;
}

bool ChatOutput::advance_reasoning(bool is_end) {
  drop_first_blanks();
  size_t end = pending_.find(kThinkEnd, num_blanks_);
  bool is_found = end != std::string::npos;
  size_t size = is_found ? end : pending_.size() - (is_end ? 0 : num_begun(pending_, kThinkEnd));
  // Blanks at the end of reasoning are no part of it.
  size_t told = num_without_blanks(size);
  emit(ChatPiece::Kind::kReasoning, pending_.substr(0, told));
  if (!is_found) return drop(is_end ? pending_.size() : told, is_end ? 0 : size - told), false;
  drop(end + kThinkEnd.size(), 0);
  state_ = State::kContent;
  skips_blanks_ = true;
  return true;
}

bool ChatOutput::advance_content(bool is_end) {
  drop_first_blanks();
  size_t begin = markup_.has_calls ? pending_.find(kCall, num_blanks_) : std::string::npos;
  bool is_found = begin != std::string::npos;
  if (!is_found && (is_end || !markup_.has_calls)) {
    emit(ChatPiece::Kind::kContent, pending_);
    return drop(pending_.size(), 0), false;
  }
  // Blanks in front of a call are no part of the content either.
  size_t size = is_found ? begin : pending_.size() - num_begun(pending_, kCall);
  size_t told = num_without_blanks(size);
  emit(ChatPiece::Kind::kContent, pending_.substr(0, told));
  if (!is_found) return drop(told, size - told), false;
  drop(begin + kCall.size(), 0);
  state_ = State::kCall;
  call_ = {};
  has_name_ = false;
  num_arguments_ = num_searched_ = 0;
  return true;
}

// Where the tag that ends the call is. Before the object is whole, what looks like it may be a part
// of its texts.
size_t ChatOutput::find_call_end() {
  if (call_.end == std::string::npos) return std::string::npos;
  size_t tag = pending_.find(kCallEnd, std::max(call_.end, num_searched_));
  num_searched_ = pending_.size() - std::min(pending_.size(), kCallEnd.size() - 1);
  return tag;
}

bool ChatOutput::advance_call(bool is_end) {
  call_.read(pending_);
  size_t tag = find_call_end();
  bool is_whole = call_.end != std::string::npos, has_tag = tag != std::string::npos;
  bool can_begin = call_.name && (call_.arguments != std::string::npos || is_whole);
  if (!call_.is_broken && can_begin && !has_name_) {
    has_name_ = true;
    ++num_calls_;
    emit(ChatPiece::Kind::kCall, *call_.name);
  }
  if (has_name_ && call_.arguments != std::string::npos) {
    size_t end = std::min({call_.arguments_end, tag, pending_.size()});
    size_t told = call_.arguments + num_arguments_;
    if (end > told) emit(ChatPiece::Kind::kArguments, pending_.substr(told, end - told));
    num_arguments_ = std::max(num_arguments_, end - call_.arguments);
  }
  if (!has_tag && !is_end && !call_.is_broken) return false;
  if (!has_name_) emit(ChatPiece::Kind::kContent, std::string(kCall));  // it was none
  drop(!has_name_ ? 0 : has_tag ? tag + kCallEnd.size() : pending_.size(), 0);
  state_ = State::kContent;
  return true;
}

}  // namespace ll
