// The fused all-reduces between the GPUs of the job, against sums on the host.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "parallel/make_communicator.h"
#include "tests/support/device.h"
#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;

namespace {

std::vector<float> delta_of(int rank, int64_t count) {
  return random_floats(count, 100 + static_cast<uint64_t>(rank));
}

// residual + the sum of all ranks' deltas; NCCL's own sums are rounded on the way.
std::vector<float> sum_of_all(std::vector<float> residual) {
  for (int rank = 0; rank < world().size(); ++rank) {
    auto delta = as_seen(delta_of(rank, static_cast<int64_t>(residual.size())), DType::bf16);
    for (size_t i = 0; i < residual.size(); ++i) residual[i] += delta[i];
  }
  return residual;
}

double worst_difference(const std::vector<float>& got, const std::vector<float>& want) {
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i)
    worst = std::max<double>(worst, std::abs(got[i] - want[i]) / (1 + std::abs(want[i])));
  return worst;
}

}  // namespace

TEST_CASE("fused all-reduce: any number of rows, one call behind the other") {
  if (world().size() == 1) return;
  auto comm = make_communicator(backend(), world());
  for (int64_t hidden : {64, 896, 3584, 8192})
    for (int64_t rows : {1, 65, 512, 3, 300, 64, 513, 127, 512, 511, 2}) {
      CAPTURE(hidden);
      CAPTURE(rows);
      int64_t count = rows * hidden;
      auto start = as_seen(random_floats(count, 1), DType::bf16);
      Tensor residual = upload_floats(start, {rows, hidden}, DType::bf16),
             delta = upload_floats(delta_of(world().rank(), count), {rows, hidden}, DType::bf16),
             weight = upload_floats(std::vector<float>(static_cast<size_t>(hidden), 0.5f), {hidden},
                                    DType::bf16),
             out = poisoned({rows, hidden}, DType::bf16);
      comm->all_reduce_add_rms_norm(stream(), {out, residual, delta, weight, 1e-6f});
      auto sum = download_floats(residual), normed = download_floats(out);
      CHECK(worst_difference(sum, sum_of_all(start)) < 0.02);
      auto row_size = static_cast<size_t>(hidden);
      for (size_t at = 0; at < sum.size(); at += row_size) {
        double squares = 0;
        for (size_t i = at; i < at + row_size; ++i) squares += sum[i] * sum[i];
        double scale = 0.5 / std::sqrt(squares / static_cast<double>(hidden) + 1e-6);
        for (size_t i = at; i < at + row_size; ++i)
          REQUIRE(std::abs(normed[i] - sum[i] * scale) <= 0.01 * std::abs(sum[i] * scale) + 1e-6);
      }
    }
}
