#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Case {
  int64_t m, n, k;
  bool bias = false;
  Epilogue epilogue = Epilogue::kNone;
  bool float_out = false;
};

struct Result {
  std::vector<float> got, want;
};

std::vector<float> reference(const Case& c, const std::vector<float>& x,
                             const std::vector<float>& w, const std::vector<float>& bias) {
  std::vector<double> y(static_cast<size_t>(c.m * c.n));
  for (int64_t m = 0; m < c.m; ++m)
    for (int64_t n = 0; n < c.n; ++n) {
      double sum = c.bias ? bias[static_cast<size_t>(n)] : 0;
      for (int64_t k = 0; k < c.k; ++k)
        sum += static_cast<double>(x[static_cast<size_t>(m * c.k + k)]) *
               w[static_cast<size_t>(n * c.k + k)];
      y[static_cast<size_t>(m * c.n + n)] = sum;
    }
  std::vector<float> out;
  if (c.epilogue == Epilogue::kNone) return {y.begin(), y.end()};
  for (size_t i = 0; i < y.size(); i += 2)
    out.push_back(static_cast<float>(y[i] / (1 + std::exp(-y[i])) * y[i + 1]));
  return out;
}

Result run(const Case& c, DType dtype) {
  auto x = random_floats(c.m * c.k, 1), w = random_floats(c.n * c.k, 2),
       bias = random_floats(c.n, 3);
  Tensor natural = upload_floats(w, {c.n, c.k}, dtype), storage, b;
  Weight weight = backend().ops.pack_weight(stream(), natural, storage);
  if (c.bias) b = upload_floats(bias, {c.n}, dtype);
  Tensor input = upload_floats(x, {c.m, c.k}, dtype);
  Tensor out = poisoned({c.m, c.epilogue == Epilogue::kSiluAndMul ? c.n / 2 : c.n},
                        c.float_out ? DType::f32 : dtype);
  backend().ops.linear(stream(), {out, input, weight, b, c.epilogue});
  return {download_floats(out),
          reference(c, as_seen(x, dtype), as_seen(w, dtype), as_seen(bias, dtype))};
}

void check_case(const Case& c) {
  for (DType dtype : model_dtypes()) {
    CAPTURE(name_of(dtype));
    CAPTURE(c.m);
    CAPTURE(c.n);
    CAPTURE(c.k);
    CAPTURE(c.bias);
    auto [got, want] = run(c, dtype);
    double limit = c.float_out || dtype == DType::f32 ? 2e-5 : tolerance(dtype).op;
    CHECK(relative_error(std::span<const float>(got), std::span<const float>(want)) < limit);
  }
}

}  // namespace

TEST_CASE("linear over odd shapes") {
  for (int64_t m : {1, 2, 3, 5, 8, 9, 16, 17, 33, 130})
    for (int64_t n : {1, 31, 64, 65, 200})
      for (int64_t k : {1, 8, 31, 33, 64, 448}) check_case({m, n, k, (m + n) % 2 == 0});
}

TEST_CASE("linear with SiLU-and-mul, float32 outputs, and nothing to do") {
  for (int64_t m : {1, 4, 7, 20, 64}) {
    check_case({m, 2 * 152, 64, false, Epilogue::kSiluAndMul});
    check_case({m, 2 * 31, 33, true, Epilogue::kSiluAndMul});
    check_case({m, 1000, 448, false, Epilogue::kNone, true});
  }
  check_case({0, 64, 64});
}

TEST_CASE("linear over several blocks of rows, depth and panels") {
  check_case({600, 200, 96, true});
  check_case({90, 130, 480, true, Epilogue::kNone, true});
  check_case({520, 2 * 170, 1280, true, Epilogue::kSiluAndMul});
}

TEST_CASE("a float32 row does not depend on its batch") {
  if (backend().kind != BackendKind::kCpu) return;
  constexpr int64_t kRows = 300, kOut = 129, kIn = 71;
  auto x = random_floats(kRows * kIn, 4), w = random_floats(kOut * kIn, 5);
  Tensor storage, natural = upload_floats(w, {kOut, kIn}, DType::f32),
                  input = upload_floats(x, {kRows, kIn}, DType::f32);
  Weight weight = backend().ops.pack_weight(stream(), natural, storage);
  Tensor all = poisoned({kRows, kOut}, DType::f32);
  backend().ops.linear(stream(), {all, input, weight, {}});
  for (int64_t begin : {0, 7, 256})
    for (int64_t count : {1, 5, 40}) {
      Tensor part = poisoned({count, kOut}, DType::f32);
      backend().ops.linear(stream(), {part, input.view().rows(begin, count), weight, {}});
      CHECK(std::memcmp(part.view().data, all.view().rows(begin, count).data, part.bytes()) == 0);
    }
}
