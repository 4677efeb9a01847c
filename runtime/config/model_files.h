#pragma once
// What is read of a model before its weights: with them, or (load_format dummy) its shape and texts
// alone.
#include <optional>

#include "model/files/weight_store.h"
#include "runtime/config/model_options.h"

namespace ll {

struct ModelFiles {
  explicit ModelFiles(const ModelOptions& model);

  std::optional<WeightStore> store;
  ModelConfig config;
  ModelTexts texts;
  GenerationConfig generation;
  std::vector<std::string> notes;  // WeightStore's
};

}  // namespace ll
