#include "kernels/cpu/cpu_backend.h"

#include <omp.h>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/simd/simd.h"

namespace ll::cpu {

#include "kernels/op_table.inl"

Backend open(int num_threads) {
  if (num_threads > 0) omp_set_num_threads(num_threads);
  return {.kind = BackendKind::kCpu,
          .device_name = fmt::format("CPU, {} thread{}, {}", omp_get_max_threads(),
                                     omp_get_max_threads() == 1 ? "" : "s", simd().name),
          .device = cpu_device(),
          .ops = op_table()};
}

}  // namespace ll::cpu
