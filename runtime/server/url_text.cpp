#include "runtime/server/url_text.h"

#include <algorithm>
#include <charconv>

namespace ll {

std::string url_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    bool is_escape = text[i] == '%' && i + 2 < text.size() &&
                     std::from_chars(&text[i] + 1, &text[i] + 3, value, 16).ptr == &text[i] + 3;
    out += is_escape ? static_cast<char>(value) : text[i];
    if (is_escape) i += 2;
  }
  return out;
}

std::string path_part(std::string_view path, size_t number) {
  for (; !path.empty(); --number) {
    path.remove_prefix(1);  // the slash
    std::string_view part = path.substr(0, path.find('/'));
    if (number == 0) return std::string(part);
    path.remove_prefix(part.size());
  }
  return "";
}

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), field.size() + 1));
    size_t equals = std::min(field.find('='), field.size());
    if (field.substr(0, equals) == name)
      return url_decoded(field.substr(std::min(equals + 1, field.size())));
  }
  return "";
}

}  // namespace ll
