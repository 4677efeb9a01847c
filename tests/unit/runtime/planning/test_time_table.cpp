#include "runtime/planning/time_table.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("a time table: its points, straight lines between them, a rate beyond them") {
  TimeTable t({{10, 1}, {20, 3}, {40, 4}});
  CHECK(t.at(1) == 1);
  CHECK(t.at(10) == 1);
  CHECK(t.at(15) == doctest::Approx(2));
  CHECK(t.at(20) == doctest::Approx(3));
  CHECK(t.at(30) == doctest::Approx(3.5));
  CHECK(t.at(80) == doctest::Approx(6));
  CHECK(TimeTable().at(7) == 0);
  CHECK(TimeTable({{10, 2}}).at(1000) == 2);
  CHECK(TimeTable::line(1e-6, 1e9).at(5e9) == doctest::Approx(5 + 1e-6));
}

TEST_CASE("a time table: what was measured to fall does not fall") {
  TimeTable t({{10, 3}, {20, 2}});
  for (double size : {10.0, 15.0, 20.0, 100.0}) CHECK(t.at(size) == 3);
}

TEST_CASE("a time table stretched keeps its start apart from the rest") {
  TimeTable t = TimeTable({{10, 1}, {20, 3}}).stretched(2, 3);
  CHECK(t.at(10) == 2);
  CHECK(t.at(20) == doctest::Approx(2 + 3 * 2));
}
