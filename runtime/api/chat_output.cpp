#include "runtime/api/chat_output.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/json_tree.h"

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

// Where the JSON value that begins at `at` ends; npos: not within the text.
size_t end_of_value(std::string_view text, size_t at) {
  int depth = 0;
  bool is_quoted = false;
  for (size_t i = at; i < text.size(); ++i) {
    char c = text[i];
    if (is_quoted) {
      if (c == '\\') ++i;
      if (c != '"') continue;
      is_quoted = false;
      if (depth == 0) return i + 1;
    } else if (c == '"') {
      is_quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']' || c == ',') {
      if (depth == 0) return i;
      if (c != ',' && --depth == 0) return i + 1;
    }
  }
  return std::string_view::npos;
}

// A call as far as its text goes. Positions are npos where the text is not so long.
struct Call {
  std::optional<std::string> name;
  size_t arguments = std::string_view::npos, arguments_end = std::string_view::npos;
  size_t end = std::string_view::npos;  // of the object
  bool is_broken = false;
};

std::optional<std::string> string_of(std::string_view json) try {
  JsonTree tree = JsonTree::parse(json, "name");
  return tree.is(JsonTree::Kind::kString) ? std::optional(tree.text) : std::nullopt;
} catch (const Error&) {
  return std::nullopt;
}

Call read_call(std::string_view text) {
  Call call;
  auto is_at = [&](size_t at, char c) { return at < text.size() && text[at] == c; };
  size_t at = skip_blanks(text, 0);
  if (at == text.size()) return call;
  call.is_broken = text[at] != '{';
  for (at = skip_blanks(text, at + 1); !call.is_broken && at < text.size();) {
    if (is_at(at, '}')) return call.end = at + 1, call;
    size_t key_end = end_of_value(text, at);
    if (key_end == text.npos) return call;
    auto key = string_of(text.substr(at, key_end - at));
    size_t colon = skip_blanks(text, key_end), value = skip_blanks(text, colon + 1);
    if (value >= text.size()) return call;
    call.is_broken = !key || !is_at(colon, ':');
    if (call.is_broken) return call;
    size_t end = end_of_value(text, value);
    if (*key == "arguments" || *key == "parameters")
      call.arguments = value, call.arguments_end = end;
    if (end == text.npos) return call;
    if (*key == "name") call.name = string_of(text.substr(value, end - value));
    at = skip_blanks(text, end);
    if (is_at(at, ',')) at = skip_blanks(text, at + 1);
  }
  return call;
}

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

bool ChatOutput::advance_start(bool is_end) {
  std::string_view text = std::string_view(pending_).substr(skip_blanks(pending_, 0));
  if (text.starts_with(kThink)) {
    pending_ = text.substr(kThink.size());
    state_ = State::kReasoning;
    skips_blanks_ = true;
    return true;
  }
  if (!is_end && kThink.starts_with(text)) return false;
  state_ = State::kContent;
  return true;
}

bool ChatOutput::advance_reasoning(bool is_end) {
  if (skips_blanks_) pending_.erase(0, skip_blanks(pending_, 0));
  if (!pending_.empty()) skips_blanks_ = false;
  size_t end = pending_.find(kThinkEnd);
  bool is_found = end != std::string::npos;
  size_t size = is_found ? end : pending_.size() - (is_end ? 0 : num_begun(pending_, kThinkEnd));
  // Blanks at the end of reasoning are no part of it.
  size_t last = pending_.find_last_not_of(kBlanks, size == 0 ? 0 : size - 1);
  size_t told = size == 0 || last == std::string::npos ? 0 : std::min(last + 1, size);
  emit(ChatPiece::Kind::kReasoning, pending_.substr(0, told));
  pending_.erase(0, is_found ? end + kThinkEnd.size() : is_end ? pending_.size() : told);
  if (!is_found) return false;
  state_ = State::kContent;
  skips_blanks_ = true;
  return true;
}

bool ChatOutput::advance_content(bool is_end) {
  if (skips_blanks_) pending_.erase(0, skip_blanks(pending_, 0));
  if (!pending_.empty()) skips_blanks_ = false;
  size_t begin = markup_.has_calls ? pending_.find(kCall) : std::string::npos;
  bool is_found = begin != std::string::npos;
  size_t size = is_found ? begin : pending_.size();
  if (markup_.has_calls && !is_found && !is_end) size -= num_begun(pending_, kCall);
  // So are blanks in front of a call.
  if (markup_.has_calls && (is_found || !is_end)) {
    size_t last = size == 0 ? std::string::npos : pending_.find_last_not_of(kBlanks, size - 1);
    size_t told = last == std::string::npos ? 0 : last + 1;
    emit(ChatPiece::Kind::kContent, pending_.substr(0, told));
    pending_.erase(0, is_found ? begin + kCall.size() : told);
  } else {
    emit(ChatPiece::Kind::kContent, std::exchange(pending_, {}));
  }
  if (!is_found) return false;
  state_ = State::kCall;
  has_name_ = false;
  num_arguments_ = 0;
  return true;
}

bool ChatOutput::advance_call(bool is_end) {
  Call call = read_call(pending_);
  bool is_whole = call.end != std::string::npos;
  // Before the object is whole, what looks like the end may be a part of its texts.
  size_t tag = is_whole ? pending_.find(kCallEnd, call.end) : std::string::npos;
  bool has_tag = tag != std::string::npos;
  bool is_over = has_tag || is_end;
  bool can_begin = call.name && (call.arguments != std::string::npos || is_whole);
  if (!call.is_broken && can_begin && !has_name_) {
    has_name_ = true;
    ++num_calls_;
    emit(ChatPiece::Kind::kCall, *call.name);
  }
  if (has_name_ && call.arguments != std::string::npos) {
    size_t end = std::min(call.arguments_end, has_tag ? tag : pending_.size());
    std::string arguments = pending_.substr(call.arguments, end - call.arguments);
    if (arguments.size() > num_arguments_)
      emit(ChatPiece::Kind::kArguments, arguments.substr(num_arguments_));
    num_arguments_ = std::max(num_arguments_, arguments.size());
  }
  if (!is_over && !call.is_broken) return false;
  if (!has_name_) emit(ChatPiece::Kind::kContent, std::string(kCall));  // it was none
  pending_.erase(0, !has_name_ ? 0 : has_tag ? tag + kCallEnd.size() : pending_.size());
  state_ = State::kContent;
  return true;
}

}  // namespace ll
