#pragma once
// Where the tensors of a model lie: what both kinds of model, Hugging Face folder and weight file,
// come down to. A tensor is a grid of tiles, each contiguous in a file, so reading needs no library
// and no lock.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/input_file.h"
#include "base/numbers.h"
#include "kernels/tensor.h"
#include "model/config/model_texts.h"
#include "model/files/tile_sums.h"
#include "parallel/shard_spec.h"

namespace ll {

struct StoredTensor {
  DType dtype = DType::bf16;  // bf16, f16 or f32
  Shape shape;                // one axis or two
  std::shared_ptr<const InputFile> file;
  int64_t tile_rows = 0, tile_cols = 0;
  std::vector<uint64_t> tiles;  // the offset of each, row by row of the grid
  std::string name;
  std::string foreign_type;    // SafetensorsEntry's; nobody can read such a tensor
  std::vector<uint64_t> sums;  // of the tiles (tile_sums.h); empty: the file has none
  // Instead of tiles where the file has an unusual layout: writes the part densely, in `dtype`.
  std::function<void(const ShardSpec& part, void* out)> read_part;

  int64_t rows() const { return shape[0]; }
  int64_t cols() const { return shape.rank() > 1 ? shape[1] : 1; }
  uint64_t bytes() const { return static_cast<uint64_t>(shape.numel()) * size_of(dtype); }
  bool is_vector() const { return shape.rank() == 1; }
  int64_t grid_rows() const { return ceil_div(rows(), tile_rows); }
  int64_t grid_cols() const { return ceil_div(cols(), tile_cols); }
  // Throws unless every tile lies inside the file.
  void check_tiles(std::string_view name) const;
};

// As the files have it: not yet compared with what config.json asks for.
struct StoredModel {
  std::string path;
  ModelTexts texts;
  std::map<std::string, StoredTensor, std::less<>> tensors;
};

StoredModel open_weight_folder(const std::string& folder);
StoredModel open_weight_file(const std::string& path);
ModelTexts read_weight_file_texts(const std::string& path);
std::map<std::string, StoredTensor, std::less<>> weight_file_tensors(const std::string& path);

// The part of the tensor, dense and row-major, as bf16, f32 or its own dtype. From any
// thread. `sums`, unless null, is shown the rows of tiles that are read whole.
void read_stored(const StoredTensor& tensor, const ShardSpec& part, DType as, void* out,
                 TileSums* sums);

}  // namespace ll
