#include <algorithm>

#include "base/check.h"
#include "runtime/config/config_reader.h"

namespace ll {
namespace {

constexpr std::string_view kHead =
    "# Every key of litelang-run with its default, as `litelang-run --print_reference` prints it.\n"
    "# `--set key.path=value` on the command line goes over the file: --set "
    "kv_cache.page_size=16.\n"
    "# An unknown key is an error that names the line.\n";

std::string section_of(const std::string& key) {
  size_t dot = key.find('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

// "  page_size: 64                # positions of a page"
std::string line_of(const std::string& mark, const ConfigRow& row) {
  constexpr int kHelpColumn = 31;
  size_t dot = row.key.find('.');
  std::string name = dot == std::string::npos ? row.key : "  " + row.key.substr(dot + 1),
              value = row.default_text.empty() ? "" : " " + row.default_text;
  return fmt::format("{:<{}}# {}\n", fmt::format("{}{}:{} ", mark, name, value), kHelpColumn,
                     row.help);
}

}  // namespace

std::string reference_of(const ConfigTable& table) {
  std::vector<const ConfigRow*> rows;
  for (const ConfigSection& section : table)
    for (const ConfigRow& row : section.rows) rows.push_back(&row);
  std::string text(kHead), last = " ";
  for (const ConfigRow* row : rows) {
    std::string section = section_of(row->key);
    // A section that can be a single word stands there as the word, with its keys in a comment.
    bool is_word = std::any_of(rows.begin(), rows.end(),
                               [&](const ConfigRow* r) { return r->key == section; });
    bool is_word_of_section = std::any_of(rows.begin(), rows.end(), [&](const ConfigRow* r) {
      return r->key.starts_with(row->key + ".");
    });
    std::string mark = is_word ? "#" : "";
    if (is_word_of_section || (section != last && !is_word)) text += '\n';
    if (section != last && !section.empty()) text += fmt::format("{}{}:\n", mark, section);
    text += line_of(mark, *row);
    last = section;
  }
  return text;
}

}  // namespace ll
