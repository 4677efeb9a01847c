#pragma once
// The parts of a decoder layer and of what stands around the layers, as the device has them. Which
// of them a model has, and what they are made of, is model/config/layer_table.h's business.
#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/ops.h"

namespace ll {

// A matrix, with its bias, or a vector.
enum class WeightPart : uint8_t {
  // A layer's:
  kInputNorm,
  kQkv,
  kAttentionOut,
  kPostAttentionNorm,
  kGateUp,
  kDown,
  // The model's:
  kEmbed,
  kFinalNorm,
  kLmHead,
};
constexpr auto kNumLayerParts = static_cast<size_t>(WeightPart::kEmbed);

// A T for each of a layer's parts.
template <class T>
class LayerOf {
 public:
  T& operator[](WeightPart part) { return parts_.at(static_cast<size_t>(part)); }
  const T& operator[](WeightPart part) const { return parts_.at(static_cast<size_t>(part)); }

  auto begin() const { return parts_.begin(); }
  auto end() const { return parts_.end(); }

 private:
  std::array<T, kNumLayerParts> parts_{};
};

// A part as kernels take it; no data where the model has no such part.
struct PartView {
  Weight weight;    // of a vector: its elements, as rows of one column
  TensorView bias;  // [rows] or empty
};

}  // namespace ll
