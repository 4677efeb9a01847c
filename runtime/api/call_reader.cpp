#include "runtime/api/call_reader.h"

#include <algorithm>

#include "base/check.h"
#include "base/json_tree.h"

namespace ll {
namespace {

std::optional<std::string> string_of(std::string_view json) try {
  JsonTree tree = JsonTree::parse(json, "name");
  return tree.is(JsonTree::Kind::kString) ? std::optional(tree.text) : std::nullopt;
} catch (const Error&) {
  return std::nullopt;
}

}  // namespace

void CallReader::read(std::string_view text) {
  while (!is_broken && end == kNowhere && advance(text)) {
  }
}

void CallReader::begin_value(State state) {
  begin_ = at_;
  depth_ = 0;
  is_quoted_ = is_escaped_ = false;
  state_ = state;
}

// Reads on to the end of a value; false: it is not within the text.
bool CallReader::pass_value(std::string_view text) {
  for (; at_ < text.size(); ++at_) {
    char c = text[at_];
    if (is_escaped_) {
      is_escaped_ = false;
    } else if (is_quoted_) {
      is_escaped_ = c == '\\';
      is_quoted_ = c != '"';
      if (!is_quoted_ && depth_ == 0) return ++at_, true;
    } else if (c == '"') {
      is_quoted_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']' || c == ',') {
      if (depth_ == 0) return true;
      if (c != ',' && --depth_ == 0) return ++at_, true;
    }
  }
  return false;
}

void CallReader::take_value(std::string_view value) {
  if (is_arguments()) arguments_end = at_;
  if (key_ == "name") name = string_of(value);
}

// A step on; false: the text ends.
bool CallReader::advance(std::string_view text) {
  bool is_inside = state_ == State::kInKey || state_ == State::kInValue;
  if (!is_inside) at_ = std::min(text.find_first_not_of(" \t\r\n", at_), text.size());
  if (at_ == text.size() || (is_inside && !pass_value(text))) return false;
  std::string_view value = text.substr(begin_, at_ - begin_);
  switch (state_) {
    case State::kBegin:
      is_broken = text[at_++] != '{';
      state_ = State::kKey;
      break;
    case State::kKey:
      if (text[at_] == '}') return end = at_ + 1, false;
      begin_value(State::kInKey);
      break;
    case State::kInKey: {
      auto key = string_of(value);
      is_broken = !key;
      key_ = key.value_or("");
      state_ = State::kColon;
      break;
    }
    case State::kColon:
      is_broken = text[at_++] != ':';
      state_ = State::kValue;
      break;
    case State::kValue:
      begin_value(State::kInValue);
      if (is_arguments()) arguments = at_, arguments_end = kNowhere;
      break;
    case State::kInValue:
      take_value(value);
      state_ = State::kNext;
      break;
    case State::kNext:
      if (text[at_] == ',') ++at_;
      state_ = State::kKey;
      break;
  }
  return true;
}

}  // namespace ll
