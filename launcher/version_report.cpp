#include "launcher/version_report.h"

#include <fmt/core.h>

#include <algorithm>

#include "launcher/commit.h"
#include "runtime/version.h"

namespace ll {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "another compiler than GCC or Clang";
#endif
}

size_t width_of(const std::vector<VersionRow>& rows, std::string VersionRow::*column) {
  size_t width = 0;
  for (const VersionRow& row : rows) width = std::max(width, (row.*column).size());
  return width;
}

}  // namespace

std::string version_line() {
  std::string commit = *kCommit == '\0' ? "" : std::string(kCommit) + ", ";
  return fmt::format("litelang {} ({}{}, {}, {})", kVersion, commit, LITELANG_BUILD_TYPE,
                     compiler(), LITELANG_PROCESSOR);
}

std::string commit() { return kCommit; }

std::string version_report(const std::vector<VersionRow>& rows) {
  std::vector<VersionRow> table = {{"", "built with", "here"}};
  table.insert(table.end(), rows.begin(), rows.end());
  size_t name = width_of(table, &VersionRow::name), built = width_of(table, &VersionRow::built);
  std::string text = version_line() + "\n\n";
  for (const VersionRow& row : table) {
    std::string line =
        fmt::format("{:<{}}  {:<{}}  {}", row.name, name, row.built, built, row.found);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text + "\nand with " LITELANG_LIBRARIES "\n";
}

}  // namespace ll
