#include "runtime/config/yaml_text.h"

#include <algorithm>

#include "base/check.h"

namespace ll {
namespace {

// Neither empty nor a comment nor the mark of a document's begin or end.
bool is_content(std::string_view line) {
  size_t first = line.find_first_not_of(" \t\r");
  return first != std::string_view::npos && line[first] != '#' && !line.starts_with("---") &&
         !line.starts_with("...");
}

}  // namespace

bool check_one_document(std::string_view text, std::string_view where) {
  bool has_content = false;
  int number = 1;
  for (size_t begin = 0; begin < text.size(); ++number) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (has_content && line.starts_with("---"))
      fail_usage("{}:{}: a second document begins; there can be one only", where, number);
    has_content |= is_content(line);
    begin = end + 1;
  }
  return has_content;
}

}  // namespace ll
