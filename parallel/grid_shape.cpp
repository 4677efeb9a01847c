#include "parallel/grid_shape.h"

#include <charconv>

#include "base/check.h"

namespace ll {
namespace {

constexpr int kMaxExtent = 64;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t end; (end = text.find(separator)) != text.npos; text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

void set_extent(GridShape& grid, std::string_view setting) {
  constexpr std::pair<std::string_view, int GridShape::*> kExtents[] = {
      {"dp", &GridShape::dp},
      {"x", &GridShape::x},
      {"y", &GridShape::y},
      {"z", &GridShape::z},
      {"heads", &GridShape::heads}};
  size_t equals = std::min(setting.find('='), setting.size());
  std::string_view number = setting.substr(std::min(equals + 1, setting.size()));
  int value = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  bool is_number = error == std::errc() && end == number.data() + number.size() && value >= 1 &&
                   value <= kMaxExtent;
  for (const auto& [name, extent] : kExtents)
    if (is_number && name == setting.substr(0, equals)) {
      grid.*extent = value;
      return;
    }
  fail_usage(
      "'{}' is not an extent of a grid, as y=2; extents are dp, x, y, z and heads, of 1 to {}",
      setting, kMaxExtent);
}

}  // namespace

std::string GridShape::str() const {
  std::string text = fmt::format("dp {} x {} y {} z {}", dp, x, y, z);
  return heads > 0 ? text + fmt::format(" heads {}", heads) : text;
}

GridPlace place_of(const GridShape& shape, int rank) {
  return {rank / shape.replica_size(), rank / shape.x % shape.columns(), rank % shape.x};
}

std::vector<GridShape> parse_grids(std::string_view text) {
  std::vector<GridShape> grids;
  for (std::string_view part : split(text, ';')) {
    GridShape grid;
    for (std::string_view setting : split(part, ',')) set_extent(grid, setting);
    if (!grids.empty() && grid.num_ranks() != grids[0].num_ranks())
      fail_usage("'{}' has {} ranks, '{}' has {}; all need the same number", part, grid.num_ranks(),
                 split(text, ';')[0], grids[0].num_ranks());
    grids.push_back(grid);
  }
  return grids;
}

}  // namespace ll
