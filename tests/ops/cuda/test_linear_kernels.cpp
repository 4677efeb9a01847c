// Every kernel of ours, wherever it can be used, against the plain one; `linear` itself would only
// use the fastest.
#include <doctest/doctest.h>

#include "kernels/cuda/linear.h"
#include "kernels/cuda/linear_kernels.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Shape2 {
  int64_t n, k;
};
constexpr Shape2 kShapes[] = {{4, 64},      {98, 72},    {200, 448},  {256, 1088}, {1536, 1536},
                              {1000, 4104}, {40004, 64}, {17928, 72}, {21120, 64}};

struct Product {
  Product(int64_t m, Shape2 s, bool has_bias, Epilogue epilogue, bool float_out)
      : x(upload_floats(random_floats(m * s.k, 1), {m, s.k}, DType::bf16)),
        w(upload_floats(random_floats(s.n * s.k, 2), {s.n, s.k}, DType::bf16)),
        bias(upload_floats(random_floats(s.n, 3), {s.n}, DType::bf16)),
        epilogue(epilogue),
        has_bias(has_bias),
        dtype(float_out ? DType::f32 : DType::bf16),
        out_shape{m, epilogue == Epilogue::kSiluAndMul ? s.n / 2 : s.n} {}

  LinearArgs args(const Tensor& out) const {
    return {out,
            x,
            {w.view(), w.view().dim(0), w.view().dim(1)},
            has_bias ? bias.view() : TensorView{},
            epilogue};
  }
  Tensor x, w, bias;
  Epilogue epilogue;
  bool has_bias;
  DType dtype;
  Shape out_shape;
};

void check_all(const Product& p) {
  Tensor out = poisoned(p.out_shape, p.dtype);
  cuda::plain_kernel().run(stream(), p.args(out));
  auto want = download_floats(out);
  for (auto kernels :
       {cuda::stream_kernels(), cuda::tile_kernels(), cuda::block_kernels(), cuda::gate_kernels()})
    for (const cuda::LinearKernel& k : kernels) {
      out = poisoned(p.out_shape, p.dtype);
      if (!k.takes(p.args(out))) continue;
      CAPTURE(k.name);
      for (int repeat = 0; repeat < 2; ++repeat) k.run(stream(), p.args(out));
      auto got = download_floats(out);
      CHECK(relative_error(std::span<const float>(got), std::span<const float>(want)) <
            (p.dtype == DType::f32 ? 2e-5 : tolerance(DType::bf16).op));
    }
}

}  // namespace

TEST_CASE("linear: every kernel over rows of x and shapes of W") {
  if (backend().kind != BackendKind::kCuda) return;
  for (int64_t m : {1, 3, 8, 9, 16, 17, 40, 48, 49, 64, 65, 96, 100, 128, 129, 193, 256})
    for (Shape2 s : kShapes) {
      CAPTURE(m);
      CAPTURE(s.n);
      CAPTURE(s.k);
      check_all({m, s, m % 2 == 0, Epilogue::kNone, m % 3 == 0});
      check_all({m, s, m % 2 == 1, Epilogue::kSiluAndMul, false});
    }
}

TEST_CASE("linear: SiLU-and-mul of prompts") {
  if (backend().kind != BackendKind::kCuda) return;
  for (int64_t m : {301, 2200})  // tiles of x in one run, in two
    for (Shape2 s : {Shape2{192, 448}, Shape2{1536, 72}, Shape2{4384, 64}}) {
      CAPTURE(m);
      CAPTURE(s.n);
      check_all({m, s, false, Epilogue::kSiluAndMul, false});
    }
}

TEST_CASE("linear: after the buckets, no number of rows is measured again") {
  if (backend().kind != BackendKind::kCuda) return;
  constexpr int64_t kMost = 1500;
  const Shape2 shape{72, 136};
  Product p(kMost, shape, false, Epilogue::kNone, false);
  Tensor out = poisoned(p.out_shape, p.dtype);
  auto of_rows = [&](int64_t rows) {
    LinearArgs a = p.args(out);
    a.x = a.x.rows(0, rows), a.out = a.out.rows(0, rows);
    return a;
  };
  CHECK(cuda::linear_choice(of_rows(1)).empty());
  auto buckets = backend().ops.linear_buckets(kMost);
  CHECK(buckets.back() == kMost);
  for (int64_t rows : buckets) backend().ops.linear(stream(), of_rows(rows));
  for (int64_t rows = 1; rows <= kMost; ++rows) CHECK(!cuda::linear_choice(of_rows(rows)).empty());
}
