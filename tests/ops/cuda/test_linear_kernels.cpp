// Every kernel of ours, wherever it can be used, against the plain one; `linear` itself would only
// use the fastest.
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/linear/linear.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "tests/ops/norm_eps.h"
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
  Product(int64_t m, Shape2 s, bool has_bias, Ending ending, bool float_out)
      : x(upload_floats(random_floats(m * s.k, 1), {m, s.k}, DType::bf16)),
        w(upload_floats(random_floats(s.n * s.k, 2), {s.n, s.k}, DType::bf16)),
        bias(upload_floats(random_floats(s.n, 3), {s.n}, DType::bf16)),
        ending(ending),
        has_bias(has_bias),
        dtype(float_out ? DType::f32 : DType::bf16),
        out_shape{m, ending.is_silu() ? s.n / 2 : s.n} {}

  LinearArgs args(const Tensor& out) const {
    return {out,
            x,
            {w.view(), w.view().dim(0), w.view().dim(1)},
            has_bias ? bias.view() : TensorView{},
            ending};
  }
  Tensor x, w, bias;
  Ending ending;
  bool has_bias;
  DType dtype;
  Shape out_shape;
};

std::vector<const cuda::LinearKernel*> kernels_for(const LinearArgs& a) {
  std::vector<const cuda::LinearKernel*> kernels;
  for (auto list : cuda::served_kernels())
    for (const cuda::LinearKernel& k : list)
      if (k.takes(a)) kernels.push_back(&k);
  for (const cuda::LinearKernel* k : cuda::other_tile_kernels(a)) kernels.push_back(k);
  for (size_t i = 0, count = kernels.size(); i < count; ++i)
    if (kernels[i]->early) kernels.push_back(kernels[i]->early);
  return kernels;
}

std::vector<float> plain_product(const Product& p) {
  Tensor out = poisoned(p.out_shape, p.dtype);
  cuda::plain_kernel().run(stream(), p.args(out));
  return download_floats(out);
}

// `multiply` puts the product into its argument.
template <class Multiply>
void check_product(const Product& p, std::span<const float> want, Multiply&& multiply) {
  Tensor out = poisoned(p.out_shape, p.dtype);
  for (int repeat = 0; repeat < 2; ++repeat) multiply(p.args(out));
  auto got = download_floats(out);
  CHECK(relative_error(std::span<const float>(got), want) <
        (p.dtype == DType::f32 ? 2e-5 : tolerance(DType::bf16).op));
}

void check_all(const Product& p) {
  std::vector<float> want = plain_product(p);
  Tensor out = poisoned(p.out_shape, p.dtype);
  for (const cuda::LinearKernel* k : kernels_for(p.args(out))) {
    CAPTURE(k->name);
    check_product(p, want, [&](const LinearArgs& a) { k->run(stream(), a); });
  }
}

// What a product that ends with a norm leaves; `multiply` gets its arguments.
struct Normed {
  std::vector<float> out, residual, squares;
};
template <class Multiply>
Normed normed(const Product& p, Multiply&& multiply) {
  int64_t rows = p.out_shape[0], width = p.out_shape[1];
  Tensor product = poisoned(p.out_shape, p.dtype), out = poisoned(p.out_shape, p.dtype),
         residual = upload_floats(random_floats(rows * width, 4), p.out_shape, DType::bf16),
         gain = upload_floats(random_floats(width, 5), {width}, DType::bf16),
         sums = upload_ints(std::vector<int32_t>(static_cast<size_t>(rows * kSquaresStride * 2)));
  auto* squares = static_cast<uint64_t*>(sums.view().data);
  AddRmsNormArgs norm{out, residual, {}, gain, kNormEps, nullptr, squares};
  LinearArgs a = p.args(product);
  a.ending = Ending::add_rms_norm(norm);
  multiply(a);
  Normed result{download_floats(out), download_floats(residual), {}};
  auto all = download<uint64_t>(squares, static_cast<size_t>(rows * kSquaresStride));
  for (size_t i = 0; i < all.size(); i += kSquaresStride)
    result.squares.push_back(static_cast<float>(all[i]) / kSquaresUnit);
  return result;
}

void check_norms(const Product& p) {
  Normed want = normed(p, [](const LinearArgs& a) {
    LinearArgs bare = a;
    bare.ending = Ending();
    cuda::plain_kernel().run(stream(), bare);
    AddRmsNormArgs norm = *a.ending.norm();
    norm.delta = a.out;
    backend().ops.add_rms_norm(stream(), norm);
  });
  auto distance = [](std::span<const float> got, std::span<const float> wanted) {
    return relative_error(got, wanted);
  };
  Tensor out = poisoned(p.out_shape, p.dtype);
  for (const cuda::LinearKernel* k : kernels_for(p.args(out))) {
    if (!k->does_norms) continue;
    CAPTURE(k->name);
    Normed got = normed(p, [&](const LinearArgs& a) { k->run(stream(), a); });
    CHECK(distance(got.out, want.out) < tolerance(DType::bf16).op);
    CHECK(distance(got.residual, want.residual) < tolerance(DType::bf16).op);
    CHECK(distance(got.squares, want.squares) < tolerance(DType::bf16).op);
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
      check_all({m, s, m % 2 == 0, Ending(), m % 3 == 0});
      check_all({m, s, m % 2 == 1, Ending::silu_and_mul(), false});
      if (m <= 8 && s.n % 8 == 0) check_norms({m, s, m % 2 == 0, Ending(), false});
    }
}

TEST_CASE("linear: every ring of the tile kernel") {
  if (backend().kind != BackendKind::kCuda || !cuda::serves(cuda::KernelFamily::kSm90)) return;
  for (int64_t m : {8, 40, 64})
    for (Shape2 s : {Shape2{896, 1536}, Shape2{20000, 256}}) {
      CAPTURE(m);
      CAPTURE(s.n);
      Product p(m, s, true, Ending(), false);
      Tensor out = poisoned(p.out_shape, p.dtype);
      CHECK(!cuda::other_tile_kernels(p.args(out)).empty());
      check_all(p);
    }
}

// Two parts of K on an H200 make tiles of so many rows of W.
TEST_CASE("linear: tiles of all sizes, with and without a norm") {
  if (backend().kind != BackendKind::kCuda) return;
  for (int64_t tile_rows = 32; tile_rows <= 160; tile_rows += 16)
    for (int64_t m : {40, 100, 191, 250}) {
      CAPTURE(m);
      CAPTURE(tile_rows);
      Product p(m, {66 * tile_rows - 8, 136}, m == 100, Ending(), false);
      check_all(p);
      check_norms(p);
    }
}

TEST_CASE("linear: SiLU-and-mul of prompts") {
  if (backend().kind != BackendKind::kCuda) return;
  for (int64_t m : {301, 2200})  // tiles of x in one run, in two
    for (Shape2 s : {Shape2{192, 448}, Shape2{1536, 72}, Shape2{4384, 64}}) {
      CAPTURE(m);
      CAPTURE(s.n);
      check_all({m, s, false, Ending::silu_and_mul(), false});
    }
}

TEST_CASE("linear: who runs steps can choose each way, once") {
  if (backend().kind != BackendKind::kCuda || std::getenv("LITELANG_LINEAR")) return;
  const LinearTuning& tuning = *backend().linear_tuning;
  Product p(40, {1144, 776}, true, Ending(), false);
  std::vector<float> want = plain_product(p);
  auto multiply = [](const LinearArgs& a) { backend().ops.linear(stream(), a); };
  tuning.watch(stream());
  check_product(p, want, multiply);
  auto ways = tuning.ways(stream());
  REQUIRE(ways.size() == 1);
  int num_ways = static_cast<int>(ways[0].size());
  CHECK(num_ways > 1);
  CHECK(std::set<std::string>(ways[0].begin(), ways[0].end()).size() == ways[0].size());
  for (int way = 0; way < num_ways; ++way)
    for (bool is_early : {false, true}) {
      tuning.choose(stream(), 0, way, is_early);
      CAPTURE(tuning.describe(stream(), 0));
      check_product(p, want, multiply);
    }
  tuning.watch(stream());
  check_product(p, want, multiply);
  CHECK(tuning.ways(stream()).empty());
}

TEST_CASE("linear: after the buckets, no number of rows is measured again") {
  if (backend().kind != BackendKind::kCuda) return;
  constexpr int64_t kMost = 1500;
  Shape2 shape{72, 136};
  Product p(kMost, shape, false, Ending(), false);
  Tensor out = poisoned(p.out_shape, p.dtype);
  auto of_rows = [&](int64_t rows) {
    LinearArgs a = p.args(out);
    a.x = a.x.rows(0, rows), a.out = a.out.rows(0, rows);
    return a;
  };
  CHECK(cuda::linear_choice(stream(), of_rows(1)).empty());
  auto buckets = backend().linear_tuning->buckets(kMost);
  CHECK(buckets.back() == kMost);
  for (int64_t rows : buckets) backend().ops.linear(stream(), of_rows(rows));
  for (int64_t rows = 1; rows <= kMost; ++rows)
    CHECK(!cuda::linear_choice(stream(), of_rows(rows)).empty());
}
