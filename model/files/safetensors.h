#pragma once
// The safetensors format: eight bytes of header length, a JSON header, the tensors' bytes. Nothing
// a file says is believed before it is checked; what is wrong throws Error that names the file and
// the tensor. https://huggingface.co/docs/safetensors
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/input_file.h"
#include "kernels/tensor.h"

namespace ll {

struct SafetensorsEntry {
  DType dtype = DType::f32;
  Shape shape;
  uint64_t offset = 0;  // in the file; numel * size_of(dtype) bytes, row-major
  // The element type, "BOOL", where it is none of DType's: the tensor is a row of bytes then.
  std::string foreign_type = {};
};
using SafetensorsTable = std::map<std::string, SafetensorsEntry, std::less<>>;

// `header` is the JSON of a file of `file_size` bytes in all. The tensors must tile the rest of the
// file without gap or overlap. Element types that the format does not have, and more than
// four axes, are refused.
SafetensorsTable parse_safetensors_header(std::string_view header, uint64_t file_size,
                                          std::string_view where);

struct SafetensorsFile {
  std::shared_ptr<const InputFile> file;
  SafetensorsTable tensors;
};
SafetensorsFile open_safetensors(const std::string& path);

// The weight_map of a model.safetensors.index.json: which file beside it holds a tensor. File names
// with a folder in them are refused.
using SafetensorsIndex = std::map<std::string, std::string, std::less<>>;
SafetensorsIndex parse_safetensors_index(std::string_view json, std::string_view where);

// The files of a model: model.safetensors, or those of the index. Throws Error where one holds what
// the index puts into another.
std::vector<SafetensorsFile> open_safetensors_folder(const std::string& folder);

}  // namespace ll
