#include "runtime/planning/time_table.h"

#include <algorithm>

namespace ll {

TimeTable TimeTable::line(double start_s, double size_per_s) {
  constexpr double kLarge = 1e9;
  return {{{0, start_s}, {kLarge, start_s + kLarge / size_per_s}}};
}

double TimeTable::at(double size) const {
  if (points_.empty()) return 0;
  if (size <= points_.front().size || points_.size() == 1) return points_.front().seconds;
  auto high = std::find_if(points_.begin() + 1, points_.end() - 1,
                           [&](const Point& p) { return p.size >= size; });
  const Point &a = *(high - 1), &b = *high;
  double share = (size - a.size) / (b.size - a.size);
  // Measured times may fall by chance; what is larger never takes less than what is smaller.
  return a.seconds + share * std::max(0.0, b.seconds - a.seconds);
}

TimeTable TimeTable::stretched(double start, double rest) const {
  TimeTable table = *this;
  for (Point& p : table.points_)
    p.seconds = start * points_.front().seconds + rest * (p.seconds - points_.front().seconds);
  return table;
}

}  // namespace ll
