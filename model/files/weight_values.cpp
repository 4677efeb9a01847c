#include "model/files/weight_values.h"

#include <fmt/format.h>

#include "base/check.h"

namespace ll {
namespace {

// Those whose exponent has all bits set.
template <class Bits>
int64_t count(std::span<const std::byte> values, Bits exponent) {
  const auto* bits = reinterpret_cast<const Bits*>(values.data());
  int64_t found = 0;
  for (size_t i = 0; i < values.size() / sizeof(Bits); ++i)
    found += (bits[i] & exponent) == exponent;
  return found;
}

}  // namespace

int64_t num_not_finite(DType dtype, std::span<const std::byte> values) {
  switch (dtype) {
    case DType::bf16:
      return count<uint16_t>(values, 0x7f80);
    case DType::f16:
      return count<uint16_t>(values, 0x7c00);
    case DType::f32:
      return count<uint32_t>(values, 0x7f800000);
    default:
      ensure(false, "weights are floating-point numbers");
      return 0;
  }
}

std::string not_finite_message(const std::vector<std::string>& tensors) {
  return fmt::format(
      "NaN or infinite values in {}{}: no answers can come of them; get the files again",
      tensors.at(0), tensors.size() > 1 ? fmt::format(" and {} others", tensors.size() - 1) : "");
}

}  // namespace ll
