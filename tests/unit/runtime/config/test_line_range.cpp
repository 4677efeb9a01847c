#include "runtime/config/line_range.h"

#include <doctest/doctest.h>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("parts: every line in one of them, sizes that differ by one at most") {
  for (int64_t lines : {0, 1, 5, 7, 8, 9, 1000, 1'000'003})
    for (int64_t count : {1, 2, 3, 8, 13}) {
      CAPTURE(lines);
      CAPTURE(count);
      int64_t next = 1;
      for (int64_t i = 1; i <= count; ++i) {
        LineRange part = LinePart{i, count}.of(lines);
        CHECK(part.first == next);
        CHECK(part.size() >= lines / count);
        CHECK(part.size() <= lines / count + 1);
        next = part.last + 1;
      }
      CHECK(next == lines + 1);
    }
  CHECK(LinePart{}.of(9) == LineRange{1, 9});
  int64_t huge = int64_t{1} << 52;
  CHECK(LinePart{kMaxParts, kMaxParts}.of(huge).last == huge);
}

TEST_CASE("parts as text") {
  CHECK(parse_line_part("3/8") == LinePart{3, 8});
  CHECK(parse_line_part("1/1") == LinePart{});
  CHECK(part_text({3, 8}) == "3/8");
  for (const char* wrong : {"", "3", "3/", "/8", "3/8 ", "a/8", "3/b", "3-8"}) {
    CAPTURE(wrong);
    CHECK(contains(error_of([&] { parse_line_part(wrong); }), "is not a part such as 3/8"));
  }
  CHECK(contains(error_of([] { parse_line_part("0/4"); }), "numbered from 1 to 4"));
  CHECK(contains(error_of([] { parse_line_part("5/4"); }), "--array=1-4"));
  CHECK(contains(error_of([] { parse_line_part("1/0"); }), "1 to 1000000 parts"));
}
