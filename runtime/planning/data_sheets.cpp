#include "runtime/planning/data_sheets.h"

#include <algorithm>

namespace ll {
namespace {

// An H200's sheet has 4.8 TB/s and 989 TFLOP/s; it was seen to do 4.37 and 792.
constexpr double kReadShare = 0.91, kMatrixShare = 0.8;
// Kernels ask for three quarters of the shared memory; memory answers after a microsecond at most.
constexpr double kRingShare = 0.75, kReadLatency = 1e-6;

constexpr size_t kKib = 1024;
constexpr DataSheet kSheets[] = {
    {"a100-40", " a100", "40gb", 1.555e12, 312e12, 108, 164 * kKib, 40, true},
    {"a100", " a100", "", 2.04e12, 312e12, 108, 164 * kKib, 80, true},
    {"l40s", " l40s", "", 0.864e12, 362e12, 142, 100 * kKib, 46, false},
    {"rtx4090", " 4090", "", 1.008e12, 165e12, 128, 100 * kKib, 24, false},
    {"a10", " a10", "", 0.6e12, 125e12, 72, 100 * kKib, 24, false}};

}  // namespace

std::span<const DataSheet> data_sheets() { return kSheets; }

double expected_read(const DataSheet& gpu) {
  double under_way = kRingShare * static_cast<double>(gpu.shared_bytes) * gpu.num_sms;
  return std::min(kReadShare * gpu.bytes_per_s, under_way / kReadLatency);
}

double expected_matrix_rate(const DataSheet& gpu) { return kMatrixShare * gpu.flops_per_s; }

}  // namespace ll
