#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cpu/panels.h"
#include "kernels/cpu/simd/simd.h"
#include "tests/support/compare.h"
#include "tests/support/random.h"

using namespace ll;
using namespace ll::cpu;
using namespace ll::test;

namespace {

constexpr int64_t kRows = 50;  // two tiles of AMX, whole and in part

std::vector<const Simd*> tables() {
  std::vector<const Simd*> all{&generic::kSimd};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(&avx2::kSimd);
  if (__builtin_cpu_supports("avx512bw")) all.push_back(&avx512::kSimd);
  if (__builtin_cpu_supports("avx512bf16")) all.push_back(&avx512_bf16::kSimd);
  if (std::string(simd().name) == "amx")
    all.push_back(&amx::kSimd);  // needs the kernel's permission
  return all;
}

void check_bf16_product(int64_t depth) {
  auto x = rounded(random_floats(kRows * depth, 5)),
       w = rounded(random_floats(depth * kPanelCols, 6));
  std::vector<bf16> panel(static_cast<size_t>(panel_size<bf16>(depth)));
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t c = 0; c < kPanelCols; ++c)
      panel[static_cast<size_t>(panel_offset<bf16>(k, c))] =
          w[static_cast<size_t>(k * kPanelCols + c)];
  std::vector<float> want;
  for (int64_t m = 0; m < kRows; ++m)
    for (int c = 0; c < kPanelCols; ++c) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k)
        sum += static_cast<double>(to_float(x[static_cast<size_t>(m * depth + k)])) *
               to_float(w[static_cast<size_t>(k * kPanelCols + c)]);
      want.push_back(static_cast<float>(sum));
    }
  for (const Simd* s : tables())
    for (int64_t rows = 1; rows <= kRows; ++rows) {
      CAPTURE(s->name);
      CAPTURE(rows);
      std::vector<float> y(static_cast<size_t>(rows) * kPanelCols, NAN);
      Bf16Product product{x.data(), depth, panel.data(), 2 * kPanelCols,
                          depth,    rows,  y.data(),     kPanelCols};
      s->gemm_bf16(product);
      CHECK(relative_error(std::span<const float>(y),
                           std::span<const float>(want).first(y.size())) < 1e-6);
      product.add = true;
      product.next = panel.data();
      s->gemm_bf16(product);
      for (float& v : y) v /= 2;
      CHECK(relative_error(std::span<const float>(y),
                           std::span<const float>(want).first(y.size())) < 1e-6);
    }
}

}  // namespace

TEST_CASE("every instruction set computes the same row functions") {
  for (const Simd* s : tables()) {
    CAPTURE(s->name);
    for (int64_t n : {0, 1, 3, 15, 16, 17, 31, 33, 100}) {
      CAPTURE(n);
      auto x = random_floats(n, 1, 4), y = random_floats(n, 2, 4);
      double dot = 0, sum = 0;
      float max = -INFINITY;
      for (int64_t i = 0; i < n; ++i) {
        auto k = static_cast<size_t>(i);
        dot += static_cast<double>(x[k]) * y[k];
        max = std::max(max, x[k]);
        sum += std::exp(static_cast<double>(x[k]) - 4);
      }
      CHECK(s->max(x.data(), n) == max);
      CHECK(s->dot(x.data(), y.data(), n) == doctest::Approx(dot).epsilon(1e-5));
      CHECK(s->sum_exp(x.data(), n, 4, 1) == doctest::Approx(sum).epsilon(1e-6));
      auto e = x;
      CHECK(s->exp_sum(e.data(), n, 4) == doctest::Approx(sum).epsilon(1e-6));
      for (int64_t i = 0; i < n; ++i)
        CHECK(e[static_cast<size_t>(i)] ==
              doctest::Approx(std::exp(x[static_cast<size_t>(i)] - 4.0)).epsilon(1e-6));
      auto half = rounded(x);
      std::vector<float> wide(x.size());
      s->widen(wide.data(), half.data(), n);
      CHECK(wide == widened(half));
      std::vector<bf16> narrow(x.size());
      s->narrow(narrow.data(), x.data(), n);
      if (n > 0) CHECK(std::memcmp(narrow.data(), half.data(), x.size() * 2) == 0);
      if (n > 0) {
        s->narrow_rows(narrow.data(), 1, x.data(), 1, n, 1);
        CHECK(std::memcmp(narrow.data(), half.data(), x.size() * 2) == 0);
      }
      auto z = y;
      s->axpy_bf16(z.data(), half.data(), 0.5f, n);
      for (size_t i = 0; i < z.size(); ++i)
        CHECK(z[i] == doctest::Approx(y[i] + 0.5 * wide[i]).epsilon(1e-6));
      CHECK(s->dot_bf16(y.data(), half.data(), n) ==
            doctest::Approx(s->dot(y.data(), wide.data(), n)).epsilon(1e-5));
    }
  }
}

TEST_CASE("exp reaches zero and does not overflow early") {
  for (const Simd* s : tables()) {
    CAPTURE(s->name);
    std::vector<float> x{-INFINITY, -200, -87.5f, -80, -1, 0, 1, 80};
    s->exp_sum(x.data(), 8, 0);
    CHECK(x[0] == 0);
    CHECK(x[1] == 0);
    CHECK(x[3] == doctest::Approx(std::exp(-80.0)).epsilon(1e-6));
    CHECK(x[5] == 1);
    CHECK(x[7] == doctest::Approx(std::exp(80.0)).epsilon(1e-6));
  }
}

TEST_CASE("a row of a panel product does not depend on the rows beside it") {
  constexpr int64_t kDepth = 70;
  for (const Simd* s : tables()) {
    CAPTURE(s->name);
    auto x = random_floats(kRows * kDepth, 3), w = random_floats(kDepth * kPanelCols, 4);
    std::vector<float> all(kRows * kPanelCols), one(kPanelCols);
    s->gemm_f32(x.data(), kDepth, w.data(), kPanelCols, kDepth, kRows, all.data(), kPanelCols);
    for (int64_t rows = 1; rows <= kRows; ++rows) {
      std::vector<float> some(all.size());
      s->gemm_f32(x.data(), kDepth, w.data(), kPanelCols, kDepth, rows, some.data(), kPanelCols);
      CHECK(std::memcmp(some.data(), all.data(),
                        sizeof(float) * kPanelCols * static_cast<size_t>(rows)) == 0);
    }
    for (int c = 0; c < kPanelCols; ++c) {
      double want = 0;
      for (int64_t k = 0; k < kDepth; ++k)
        want += static_cast<double>(x[static_cast<size_t>(k)]) *
                w[static_cast<size_t>(k * kPanelCols + c)];
      CHECK(all[static_cast<size_t>(c)] == doctest::Approx(want).epsilon(1e-5));
    }
  }
}

TEST_CASE("bfloat16 panel products agree with double precision") {
  for (int64_t depth : {2, 32, 66, 128}) check_bf16_product(depth);
}
