#pragma once
// Makes weight files. The HDF5 library lays a file out, with room for every tensor; the tensors'
// bytes then go straight to their tiles, which weight_file_tensors finds as it does for every
// reader.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/config/model_texts.h"
#include "model/files/weight_store_layout.h"
#include "model/files/weight_tiling.h"

namespace ll {

struct PlannedTensor {
  WeightInfo info;
  DType dtype = DType::bf16;
  Tiling tile;

  uint64_t bytes() const;  // in the file
};

struct WeightFilePlan {
  std::string path;
  std::vector<PlannedTensor> tensors;
  std::map<std::string, std::string> links;  // of an index: tensor -> file name beside it
  std::optional<ModelTexts> texts;           // not in the parts of a split model
};

void create_weight_file(const WeightFilePlan& plan);

// What is known only in the end.
struct WeightFileSeal {
  std::map<std::string, std::string> hashes;          // of the source files
  std::string set;                                    // the name of this set of files
  std::map<std::string, std::vector<uint64_t>> sums;  // of the file's tensors, by tile
};
void seal_weight_file(const std::string& path, const WeightFileSeal& seal);

}  // namespace ll
