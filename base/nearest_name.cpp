#include "base/nearest_name.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ll {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {  // Levenshtein
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j)
      diagonal = std::exchange(row[j + 1],
                               std::min({row[j + 1] + 1, row[j] + 1, diagonal + (a[i] != b[j])}));
  }
  return row.back();
}

}  // namespace

std::string nearest_name(std::string_view wanted, const std::vector<std::string>& names) {
  wanted = wanted.substr(0, 100);
  std::string best;
  size_t least = wanted.size() / 2 + 1;
  auto last_part = [](std::string_view name) { return name.substr(name.rfind('.') + 1); };
  for (const std::string& name : names) {
    // A known key at the wrong level is near, too.
    size_t distance = std::min(edit_distance(wanted, name),
                               edit_distance(last_part(wanted), last_part(name)) + 1);
    if (distance < least) least = distance, best = name;
  }
  return best;
}

}  // namespace ll
