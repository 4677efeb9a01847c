#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "kernels/dtype.h"

namespace ll {

// The section `model` of the configuration.
struct ModelOptions {
  enum class LoadFormat { kWeights, kDummy };
  std::string path;  // .h5, or a Hugging Face folder (of dummy weights: its config.json)
  LoadFormat load_format = LoadFormat::kWeights;
  std::optional<DType> dtype;  // empty: the file's
  uint64_t seed = 0;           // of dummy weights
  bool verify = true;          // weights that are read against the file's checksums

  bool operator==(const ModelOptions&) const = default;
};

}  // namespace ll
