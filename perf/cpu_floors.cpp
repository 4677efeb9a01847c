#include "perf/cpu_floors.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cpu/onednn_matmul.h"

namespace ll::perf {
namespace {

double seconds_of(auto&& work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The better of the backend's product and oneDNN's.
double product_rate(const Backend& backend, int64_t m, int64_t n, int64_t k) {
  Tensor natural(backend.device, DType::bf16, {n, k}), x(backend.device, DType::bf16, {m, k}),
      y(backend.device, DType::bf16, {m, n}), packed;
  backend.ops.fill_random({}, natural, 1, 1, 0, 0, k);
  backend.ops.fill_random({}, x, 2, 1, 0, 0, k);
  Weight weight = backend.ops.pack_weight({}, natural, packed);
  double best = 1e9;
  for (int i = 0; i < 8; ++i) {
    best = std::min(best, seconds_of([&] { backend.ops.linear({}, {y, x, weight, {}}); }));
    bool is_there = true;
    double library = seconds_of([&] { is_there = cpu::onednn_matmul(y, x, weight, {}); });
    if (is_there) best = std::min(best, library);
  }
  return 2e-9 * static_cast<double>(m * n * k) / best;
}

}  // namespace

MemoryReader::MemoryReader()
    : words_(open_backend(BackendKind::kCpu, 0, 0).device, DType::i64, {kWords}) {
  auto* words = words_.view().as<int64_t>();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < kWords; ++i) words[i] = i;
}

double MemoryReader::pass() {
  const auto* words = words_.view().as<int64_t>();
  int64_t sum = 0;
  double seconds = seconds_of([&] {
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (int64_t k = 0; k < kWords; ++k) sum += words[k];
  });
  // The sum is used, or the loop would go.
  return sum == 1 ? 0 : 8e-9 * static_cast<double>(kWords) / seconds;
}

double matrix_rate() {
  Backend backend = open_backend(BackendKind::kCpu, 0, 0);
  return std::max({product_rate(backend, 512, 9728, 896), product_rate(backend, 2048, 8192, 1024),
                   product_rate(backend, 2048, 2048, 2048)});
}

}  // namespace ll::perf
