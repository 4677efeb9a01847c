#include "kernels/cpu/simd.h"

#include <cstdlib>
#include <string_view>

#include "kernels/check.h"

namespace ll::cpu {
namespace {

bool runs_here(const Simd& table) {
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (&table == &avx512_bf16::kSimd) return avx512 && __builtin_cpu_supports("avx512bf16");
  if (&table == &avx512::kSimd) return avx512;
  if (&table == &avx2::kSimd) return avx2;
  return true;
}

const Simd& choose() {
  const Simd* tables[] = {&avx512_bf16::kSimd, &avx512::kSimd, &avx2::kSimd, &generic::kSimd};
  const char* wanted = std::getenv("LITELANG_SIMD");
  for (const Simd* table : tables)
    if (runs_here(*table) && (!wanted || std::string_view(wanted) == table->name)) return *table;
  fail_usage(
      "LITELANG_SIMD={}: this machine does not have it; unset it, or set generic, avx2, avx512 or "
      "avx512_bf16",
      wanted);
}

}  // namespace

const Simd& simd() {
  static const Simd& table = choose();
  return table;
}

}  // namespace ll::cpu
