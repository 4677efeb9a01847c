#include "perf/cpu_floors.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "kernels/backend.h"

namespace ll::perf {
namespace {

double seconds_of(auto&& work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double product_rate(const Backend& cpu, int64_t m, int64_t n, int64_t k) {
  Tensor natural(cpu.device, DType::bf16, {n, k}), x(cpu.device, DType::bf16, {m, k}),
      y(cpu.device, DType::bf16, {m, n}), packed;
  cpu.ops.fill_random({}, natural, 1, 1, 0, 0, k);
  cpu.ops.fill_random({}, x, 2, 1, 0, 0, k);
  Weight weight = cpu.ops.pack_weight({}, natural, packed);
  double best = 1e9;
  for (int i = 0; i < 8; ++i)
    best = std::min(best, seconds_of([&] { cpu.ops.linear({}, {y, x, weight, {}}); }));
  return 2e-9 * static_cast<double>(m * n * k) / best;
}

}  // namespace

double read_bandwidth() {
  constexpr int64_t kWords = int64_t{1} << 27;  // 1 GiB
  Backend cpu = open_backend(BackendKind::kCpu, 0, 0);
  Tensor buffer(cpu.device, DType::i64, {kWords});
  auto* words = buffer.view().as<int64_t>();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < kWords; ++i) words[i] = i;
  double best = 1e9;
  int64_t sum = 0;
  for (int i = 0; i < 8; ++i)
    best = std::min(best, seconds_of([&] {
#pragma omp parallel for schedule(static) reduction(+ : sum)
                      for (int64_t k = 0; k < kWords; ++k) sum += words[k];
                    }));
  return sum == 1
             ? 0
             : 8e-9 * static_cast<double>(kWords) / best;  // the sum is used, or the loop would go
}

double matrix_rate() {
  Backend cpu = open_backend(BackendKind::kCpu, 0, 0);
  return std::max({product_rate(cpu, 512, 9728, 896), product_rate(cpu, 2048, 8192, 1024),
                   product_rate(cpu, 2048, 2048, 2048)});
}

}  // namespace ll::perf
