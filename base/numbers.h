#pragma once
// Whole numbers: parts, multiples, and addresses of memory. All for numbers that are not negative.
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace ll {

// Parts of `size` that hold n: n / size, rounded up.
template <class N, class Size>
constexpr std::common_type_t<N, Size> ceil_div(N n, Size size) {
  return (n + size - 1) / size;
}

// The smallest multiple of `size` that is not less than n.
template <class N, class Size>
constexpr std::common_type_t<N, Size> round_up(N n, Size size) {
  return ceil_div(n, size) * size;
}

inline bool is_aligned(const void* p, size_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

}  // namespace ll
