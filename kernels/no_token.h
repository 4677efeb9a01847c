#pragma once
// What SamplingOps::choose gives where there is nothing to choose: all logits of a row are -inf or
// NaN. The slot's last token is a valid one all the same, since the next step may be on its way.
#include <cstdint>

namespace ll {

constexpr int32_t kNoToken = -1;

}  // namespace ll
