#include "runtime/batch/raw_member.h"

#include <cstddef>

namespace ll {
namespace {

constexpr size_t kNone = std::string_view::npos;

size_t skip_blanks(std::string_view text, size_t at) { return text.find_first_not_of(" \t\r", at); }

// All of these return where the thing that begins at `at` ends; kNone where it does not.

size_t end_of_string(std::string_view text, size_t at) {
  for (;;) {
    at = text.find_first_of("\"\\", at + 1);
    if (at == kNone || text[at] == '"') return at == kNone ? kNone : at + 1;
    ++at;  // what is escaped
  }
}

size_t end_of_nested(std::string_view text, size_t at) {
  for (int depth = 0;;) {
    char c = text[at];
    if (c == '"') {
      at = end_of_string(text, at);
    } else {
      depth += c == '{' || c == '[' ? 1 : -1;
      ++at;
    }
    if (depth == 0) return at;
    if (at < text.size()) at = text.find_first_of("\"{}[]", at);
    if (at >= text.size()) return kNone;
  }
}

size_t end_of_value(std::string_view text, size_t at) {
  if (text[at] == '"') return end_of_string(text, at);
  if (text[at] == '{' || text[at] == '[') return end_of_nested(text, at);
  return text.find_first_of(",} \t\r", at);
}

}  // namespace

std::string_view raw_member(std::string_view object, std::string_view name) {
  size_t at = skip_blanks(object, 0);
  if (at == kNone || object[at] != '{') return {};
  for (;;) {
    at = skip_blanks(object, at + 1);  // behind { or ,
    if (at == kNone || object[at] != '"') return {};
    size_t end = end_of_string(object, at);
    if (end == kNone) return {};
    std::string_view key = object.substr(at + 1, end - at - 2);
    at = skip_blanks(object, end);
    if (at == kNone || object[at] != ':') return {};
    at = skip_blanks(object, at + 1);
    end = at == kNone ? kNone : end_of_value(object, at);
    if (end == kNone) return {};
    if (key == name) return object.substr(at, end - at);
    at = skip_blanks(object, end);
    if (at == kNone || object[at] != ',') return {};
  }
}

}  // namespace ll
