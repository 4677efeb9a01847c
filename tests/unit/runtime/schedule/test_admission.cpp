#include "runtime/schedule/admission.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("the peak of what runs") {
  CHECK(peak_pages({}, 16) == 0);
  CHECK(peak_pages({{10, 20}}, 1) == 30);
  CHECK(peak_pages({{10, 20}, {50, 5}}, 1) == 70);    // both at the second's end: 15 + 55
  CHECK(peak_pages({{10, 100}, {50, 5}}, 1) == 110);  // the first alone at its end
  CHECK(peak_pages({{1, 0}, {1, 0}}, 16) == 2);
}
