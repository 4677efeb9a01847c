#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/dtype.h"
#include "kernels/tensor.h"

using namespace ll;

TEST_CASE("bfloat16 rounds to nearest, ties to even") {
  CHECK(to_float(to_bf16(1.0f)) == 1.0f);
  CHECK(to_bf16(1.0f + 0x1p-8f).bits == 0x3f80);      // tie, even below
  CHECK(to_bf16(1.0f + 3 * 0x1p-8f).bits == 0x3f82);  // tie, even above
  CHECK(to_bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(std::isnan(to_float(to_bf16(std::nanf("")))));
  CHECK(to_float(to_bf16(-std::numeric_limits<float>::infinity())) ==
        -std::numeric_limits<float>::infinity());
}

TEST_CASE("every bfloat16 survives the way through float") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    bf16 x{static_cast<uint16_t>(bits)};
    if (!std::isnan(to_float(x))) CHECK(to_bf16(to_float(x)).bits == bits);
  }
}

TEST_CASE("float16 widens exactly") {
  CHECK(to_float(f16{0x3c00}) == 1.0f);
  CHECK(to_float(f16{0xc000}) == -2.0f);
  CHECK(to_float(f16{0x0001}) == 0x1p-24f);
  CHECK(to_float(f16{0x03ff}) == 1023 * 0x1p-24f);
  CHECK(to_float(f16{0x7bff}) == 65504.0f);
  CHECK(std::isinf(to_float(f16{0x7c00})));
  CHECK(std::isnan(to_float(f16{0x7e00})));
}

TEST_CASE("views slice rows and keep the number of elements") {
  float data[6] = {0, 1, 2, 3, 4, 5};
  TensorView v{data, DType::f32, {3, 2}};
  CHECK(v.rows(1, 2).as<float>()[0] == 2);
  CHECK(v.rows(1, 2).shape == Shape{2, 2});
  CHECK(v.reshaped({6}).numel() == 6);
  CHECK(v.shape.str() == "[3, 2]");
  CHECK_THROWS_AS(v.rows(2, 2), Error);
  CHECK_THROWS_AS(v.reshaped({5}), Error);
  CHECK_THROWS_AS(v.as<bf16>(), Error);
}

TEST_CASE("errors carry their exit code and one line") {
  try {
    fail_usage("key {}: not a number", "grid.y");
  } catch (const Error& e) {
    CHECK(std::string(e.what()) == "key grid.y: not a number");
    CHECK(e.code() == ExitCode::kUsage);
  }
  CHECK_NOTHROW(check(true, "unused"));
  CHECK_THROWS_AS(check(false, "{} of {}", 1, 2), Error);
  CHECK_THROWS_AS(ensure(false, "broken"), Error);
}
