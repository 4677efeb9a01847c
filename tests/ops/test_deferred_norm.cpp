#include <doctest/doctest.h>

#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

constexpr float kEps = 1e-6f;

// Two products with a norm between them.
struct Chain {
  Chain(int64_t rows, int64_t depth, int64_t width, int64_t last)
      : rows(rows),
        width(width),
        x(random_of(rows, depth, 1)),
        w1(random_of(width, depth, 2)),
        gain(random_of(1, width, 3)),
        w2(random_of(last, width, 4)) {}

  static Tensor random_of(int64_t r, int64_t c, int seed) {
    return upload_floats(random_floats(r * c, seed), {r, c}, DType::bf16);
  }
  static Weight weight(const Tensor& w) { return {w.view(), w.view().dim(0), w.view().dim(1)}; }

  // The last product; the residual stream goes to `residual`.
  std::vector<float> run(bool defers, std::vector<float>& residual_out) {
    const Ops& ops = backend().ops;
    Tensor residual = random_of(rows, width, 5), partial = poisoned({rows, width}, DType::bf16),
           normed = poisoned({rows, width}, DType::bf16),
           out = poisoned({rows, w2.view().dim(0)}, DType::bf16);
    Tensor squares = upload_ints(std::vector<int32_t>(static_cast<size_t>(rows * 16), 0));
    auto* sums = static_cast<uint64_t*>(squares.view().data);
    AddRmsNormArgs norm{normed, residual, {}, gain.view().reshaped({width}), kEps};
    RowSquares row_squares{sums, kEps};
    if (defers) {
      norm.row_squares = sums;
      ops.linear(stream(), {partial, x, weight(w1), {}, Epilogue::kNone, nullptr, nullptr, &norm});
      ops.linear(stream(), {out, normed, weight(w2), {}, Epilogue::kNone, nullptr, &row_squares});
    } else {
      ops.linear(stream(), {partial, x, weight(w1), {}});
      norm.delta = partial;
      ops.add_rms_norm(stream(), norm);
      ops.linear(stream(), {out, normed, weight(w2), {}});
    }
    residual_out = download_floats(residual);
    return download_floats(out);
  }

  int64_t rows, width;
  Tensor x, w1, gain, w2;
};

}  // namespace

TEST_CASE("a norm done by the products around it") {
  if (!backend().ops.defers_norms) return;
  for (int64_t rows : {1, 3, 5, 16, 40, 64, 90, 200, 256})
    for (int64_t width : {448, 1536}) {
      CAPTURE(rows);
      CAPTURE(width);
      Chain chain(rows, 264, width, 320);
      std::vector<float> want_residual, got_residual;
      std::vector<float> want = chain.run(false, want_residual),
                         got = chain.run(true, got_residual);
      CHECK(relative_error(std::span<const float>(got), std::span<const float>(want)) <
            tolerance(DType::bf16).op);
      CHECK(relative_error(std::span<const float>(got_residual),
                           std::span<const float>(want_residual)) < tolerance(DType::bf16).op);
    }
}
