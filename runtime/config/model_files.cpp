#include "runtime/config/model_files.h"

namespace ll {

ModelFiles::ModelFiles(const ModelOptions& model) {
  if (model.load_format == ModelOptions::LoadFormat::kWeights) {
    store = WeightStore::open(model.path);
    config = store->config();
    texts = store->texts();
    generation = store->generation_config();
    notes = store->notes();
    return;
  }
  config = load_config_only(model.path);
  texts = load_model_texts(model.path);
  generation = parse_generation_config(texts.generation_config_json, model.path);
}

}  // namespace ll
