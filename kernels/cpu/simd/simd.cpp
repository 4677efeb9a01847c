#include "kernels/cpu/simd/simd.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>

#include "base/check.h"

namespace ll::cpu {
namespace {

// The kernel hands out AMX's tile registers on request only.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023,
                 kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) &&
         (d >> 24 & 1);  // AMX-BF16, AMX-TILE
}

bool runs_here(const Simd& table) {
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (&table == &amx::kSimd)
    return avx512 && __builtin_cpu_supports("avx512bf16") && has_amx_bf16() && may_use_tiles();
  if (&table == &avx512_bf16::kSimd) return avx512 && __builtin_cpu_supports("avx512bf16");
  if (&table == &avx512::kSimd) return avx512;
  if (&table == &avx2::kSimd) return avx2;
  return true;
}

// The best first.
constexpr const Simd* kTables[] = {&amx::kSimd, &avx512_bf16::kSimd, &avx512::kSimd, &avx2::kSimd,
                                   &generic::kSimd};

const Simd& choose() {
  const char* wanted = std::getenv("LITELANG_SIMD");
  for (const Simd* table : kTables)
    if (runs_here(*table) && (!wanted || std::string_view(wanted) == table->name)) return *table;
  fail_usage(
      "LITELANG_SIMD={}: this machine does not have it; unset it, or set generic, avx2, avx512, "
      "avx512_bf16 or amx",
      wanted);
}

}  // namespace

const Simd& simd() {
  static const Simd& table = choose();
  return table;
}

const char* simd_names() {
  static const std::string names = [] {
    std::string all;
    for (size_t i = std::size(kTables); i-- > 0;)
      (all += all.empty() ? "" : " ") += kTables[i]->name;
    return all;
  }();
  return names.c_str();
}

}  // namespace ll::cpu
