#include "base/hash/xxh64.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace ll;

// By the reference implementation, libxxhash 0.8.1.
TEST_CASE("xxh64: every way through its lengths, with and without a seed") {
  struct Known {
    size_t length;
    uint64_t plain, seeded;
  };
  for (Known k : {Known{0, 0xef46db3751d8e999, 0x95584af7701f808d},
                  Known{1, 0x1f25c8d0bc1f4bb6, 0x9102786a712ff044},
                  Known{3, 0x31d2363f52e564c9, 0xc6270ec97f034479},
                  Known{4, 0x9bb64b7d66ee9fda, 0x6a3181371bbc2026},
                  Known{7, 0x9a7b149959ce60d8, 0x6e596c9ec41c4637},
                  Known{8, 0xdab99d95c6f90092, 0xbbcc4601a016b1e4},
                  Known{31, 0xa2aa5f33cc4a6119, 0x8086bf60119a7308},
                  Known{32, 0x23c3c17ef790fd97, 0x244c3905cf320c2d},
                  Known{33, 0x50a7cfc7ba588784, 0x1edc993457cf1fd8},
                  Known{63, 0x5e3e54b431c7493c, 0x0e4a6a50d61e6220},
                  Known{100, 0xa61f8d4c170fe531, 0xacb8a02891fea7d2},
                  Known{1000, 0x5f235fa033f1a3fb, 0x365c39a0c5a4c88e}}) {
    CAPTURE(k.length);
    std::vector<std::byte> data(k.length);
    for (size_t i = 0; i < k.length; ++i) data[i] = static_cast<std::byte>(i * 7 + 3);
    CHECK(xxh64(data) == k.plain);
    CHECK(xxh64(data, 12345) == k.seeded);
  }
}
