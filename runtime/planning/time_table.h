#pragma once
// What something takes by its size, as it was measured at some sizes.
#include <vector>

namespace ll {

class TimeTable {
 public:
  struct Point {
    double size = 0, seconds = 0;
  };
  TimeTable() = default;
  // In ascending order of size.
  TimeTable(std::vector<Point> points) : points_(std::move(points)) {}
  // A time to begin with, then a rate.
  static TimeTable line(double start_s, double size_per_s);

  const std::vector<Point>& points() const { return points_; }
  // Straight lines between the points; below the first its time; beyond the last the rate between
  // the last two goes on.
  double at(double size) const;
  // The time of the smallest size, times `start`, and what larger ones take beyond it, times
  // `rest`.
  TimeTable stretched(double start, double rest) const;

 private:
  std::vector<Point> points_;
};

}  // namespace ll
