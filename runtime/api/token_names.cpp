#include "runtime/api/token_names.h"

#include <fmt/core.h>

#include "base/utf8.h"

namespace ll {
namespace {

// As Python writes bytes.
std::string escaped(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    bool is_plain = c >= 0x20 && c < 0x7f;
    if (c == '\\') out += '\\';
    if (is_plain)
      out += c;
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

std::string number_name(int32_t token) { return fmt::format("token_id:{}", token); }

std::string name_of_token(int32_t token, const Tokenizer* tokenizer) {
  std::string_view bytes = tokenizer ? tokenizer->token_bytes(token) : std::string_view();
  if (bytes.empty()) return number_name(token);
  bool is_text = find_invalid_utf8(bytes) == std::string_view::npos;
  return is_text ? std::string(bytes) : "bytes:" + escaped(bytes);
}

}  // namespace ll
