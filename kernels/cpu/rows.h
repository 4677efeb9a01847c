#pragma once
// Rows of either dtype as float32, and back.
#include <algorithm>

#include "kernels/cpu/simd/simd.h"

namespace ll::cpu {

inline void load_row(float* to, const float* from, int64_t n) { std::copy_n(from, n, to); }
inline void load_row(float* to, const bf16* from, int64_t n) { simd().widen(to, from, n); }
inline void store_row(float* to, const float* from, int64_t n) { std::copy_n(from, n, to); }
inline void store_row(bf16* to, const float* from, int64_t n) { simd().narrow(to, from, n); }

}  // namespace ll::cpu
