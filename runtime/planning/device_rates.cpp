#include "runtime/planning/device_rates.h"

#include <algorithm>

namespace ll {
namespace {

// Measured once with programs made for it (perf/RESULTS.md): a pure read, and an 8192^3 product.
constexpr struct {
  const char* device;
  DeviceRates rates;
} kKnown[] = {{"NVIDIA H200", {4.37e12, 792e12}}};

double best_seconds(const Backend& b, Stream stream, const LinearArgs& args) {
  Event from = b.device.create_event(), to = b.device.create_event();
  double best = 1e9;
  for (int i = 0; i < 6; ++i) {
    b.device.record(from, stream);
    b.ops.linear(stream, args);
    b.device.record(to, stream);
    b.device.wait_host(to);
    if (i > 0) best = std::min(best, 1e-3 * b.device.elapsed_ms(from, to));
  }
  b.device.destroy_event(from);
  b.device.destroy_event(to);
  return best;
}

double product_seconds(const Backend& b, Stream stream, int64_t m, int64_t n, int64_t k) {
  Tensor natural(b.device, DType::bf16, {n, k}), packed, x(b.device, DType::bf16, {m, k}),
      y(b.device, DType::bf16, {m, n});
  b.ops.fill_random(stream, natural, 1, 1, 0, 0, k);
  b.ops.fill_random(stream, x, 2, 1, 0, 0, k);
  Weight weight = b.ops.pack_weight(stream, natural, packed);
  b.device.synchronize(stream);
  return best_seconds(b, stream, {y, x, weight, {}});
}

}  // namespace

DeviceRates measure_rates(const Backend& b, Stream stream) {
  bool is_cpu = b.kind == BackendKind::kCpu;
  int64_t rows = is_cpu ? 131072 : 262144, cols = is_cpu ? 2048 : 4096, side = is_cpu ? 2048 : 8192;
  DeviceRates rates;
  rates.bytes_per_s =
      2.0 * static_cast<double>(rows * cols) / product_seconds(b, stream, 1, rows, cols);
  rates.flops_per_s = 2.0 * static_cast<double>(side) * static_cast<double>(side) *
                      static_cast<double>(side) / product_seconds(b, stream, side, side, side);
  for (const auto& known : kKnown)
    if (b.device_name == known.device) {
      rates.bytes_per_s = std::max(rates.bytes_per_s, known.rates.bytes_per_s);
      rates.flops_per_s = std::max(rates.flops_per_s, known.rates.flops_per_s);
    }
  return rates;
}

}  // namespace ll
