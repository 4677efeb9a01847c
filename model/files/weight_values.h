#pragma once
// What weights must not be.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/dtype.h"

namespace ll {

// How many of the values, as they lie in memory, are NaN or infinite. Floating-point types alone.
int64_t num_not_finite(DType dtype, std::span<const std::byte> values);

// What to say of tensors that have such values; there is one.
std::string not_finite_message(const std::vector<std::string>& tensors);

}  // namespace ll
