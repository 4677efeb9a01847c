#include "model/files/safetensors.h"
#include "model/files/weight_store_layout.h"

namespace ll {

StoredModel open_weight_folder(const std::string& folder) {
  StoredModel model = {folder, read_model_texts(folder), {}};
  for (SafetensorsFile& opened : open_safetensors_folder(folder)) {
    for (auto& [name, entry] : opened.tensors) {
      StoredTensor tensor = {entry.dtype, entry.shape,    opened.file, 1,
                             1,           {entry.offset}, name,        entry.foreign_type};
      // The whole tensor is one tile; an extent of zero is refused later, as misshapen.
      tensor.tile_rows = std::max<int64_t>(tensor.rows(), 1);
      tensor.tile_cols = std::max<int64_t>(tensor.cols(), 1);
      model.tensors.emplace(name, std::move(tensor));
    }
  }
  return model;
}

}  // namespace ll
