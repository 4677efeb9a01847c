#include <doctest/doctest.h>

#include "tests/ops/norm_eps.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

Tensor random_of(int64_t rows, int64_t cols, int seed) {
  return upload_floats(random_floats(rows * cols, seed), {rows, cols}, DType::bf16);
}

struct Matrix {
  Tensor storage;
  Weight weight;

  Matrix(int64_t rows, int64_t cols, int seed)
      : weight(backend().ops.pack_weight(stream(), random_of(rows, cols, seed), storage)) {}
};

// Two products with a norm between them.
struct Chain {
  Chain(int64_t rows, int64_t depth, int64_t width, int64_t last)
      : rows(rows),
        width(width),
        x(random_of(rows, depth, 1)),
        gain(random_of(1, width, 3)),
        bias(random_of(1, last, 6)),
        first(width, depth, 2),
        second(last, width, 4) {}

  struct Result {
    std::vector<float> residual, out;
  };
  Result run(bool defers, bool is_silu) const {
    const Ops& ops = backend().ops;
    int64_t last = second.weight.rows;
    Tensor residual = random_of(rows, width, 5), partial = poisoned({rows, width}, DType::bf16),
           normed = poisoned({rows, width}, DType::bf16),
           out = poisoned({rows, is_silu ? last / 2 : last}, DType::bf16),
           squares =
               upload_ints(std::vector<int32_t>(static_cast<size_t>(rows * kSquaresStride * 2), 0));
    auto* sums = static_cast<uint64_t*>(squares.view().data);
    AddRmsNormArgs norm{normed, residual, {}, gain.view().reshaped({width}), kNormEps};
    RowSquares row_squares{sums, kNormEps};
    LinearArgs before{partial, x, first.weight, {}},
        after{out, normed, second.weight, is_silu ? TensorView{} : bias.view().reshaped({last}),
              is_silu ? Ending::silu_and_mul() : Ending()};
    if (defers) {
      norm.row_squares = sums;
      before.ending = Ending::add_rms_norm(norm);
      after.x_squares = &row_squares;
    }
    ops.linear(stream(), before);
    if (!defers) {
      norm.delta = partial;
      ops.add_rms_norm(stream(), norm);
    }
    ops.linear(stream(), after);
    return {download_floats(residual), download_floats(out)};
  }

  int64_t rows, width;
  Tensor x, gain, bias;
  Matrix first, second;
};

double distance(const std::vector<float>& got, const std::vector<float>& want) {
  return relative_error(std::span<const float>(got), std::span<const float>(want));
}

}  // namespace

TEST_CASE("a norm done by the products around it") {
  for (int64_t rows : {1, 3, 5, 16, 40, 64, 90, 200, 256})
    for (int64_t width : {448, 1536})
      for (bool is_silu : {false, true}) {
        CAPTURE(rows);
        CAPTURE(width);
        CAPTURE(is_silu);
        Chain chain(rows, 264, width, 320);
        Chain::Result want = chain.run(false, is_silu), got = chain.run(true, is_silu);
        CHECK(distance(got.out, want.out) < tolerance(DType::bf16).op);
        CHECK(distance(got.residual, want.residual) < tolerance(DType::bf16).op);
      }
}
