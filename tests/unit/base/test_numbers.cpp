#include "base/numbers.h"

#include <doctest/doctest.h>

#include <string_view>

#include "base/hash/hash.h"

using namespace ll;

TEST_CASE("numbers: parts and multiples") {
  CHECK(ceil_div(0, 8) == 0);
  CHECK(ceil_div(1, 8) == 1);
  CHECK(ceil_div(8, 8) == 1);
  CHECK(ceil_div(9, 8) == 2);
  CHECK(ceil_div(int64_t{1} << 40, 3) == 366503875926);
  CHECK(round_up(0, 128) == 0);
  CHECK(round_up(1, 128) == 128);
  CHECK(round_up(size_t{128}, 128) == 128);
  CHECK(round_up(129, 128) == 256);
  static_assert(ceil_div(7, 2) == 4 && round_up(7, 2) == 8);
}

TEST_CASE("numbers: aligned addresses") {
  alignas(32) char bytes[32];
  CHECK(is_aligned(bytes, 32));
  CHECK(is_aligned(bytes + 16, 16));
  CHECK(!is_aligned(bytes + 8, 16));
  CHECK(is_aligned(nullptr, 16));
}

TEST_CASE("hash: the numbers of FNV-1a's authors") {
  Fnv32 small;
  Fnv64 large;
  for (char c : std::string_view("foobar")) {
    small.add(static_cast<unsigned char>(c));
    large.add(static_cast<unsigned char>(c));
  }
  CHECK(small.value == 0xbf9cf968u);
  CHECK(large.value == 0x85944171f73967e8u);
}
