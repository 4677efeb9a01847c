// Input: eight bytes, the size of the data after the header; then the header. And the same text as
// an index.
#include <algorithm>
#include <cstring>
#include <span>

#include "base/check.h"
#include "model/files/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  uint64_t data_bytes = 0;
  std::memcpy(&data_bytes, data, 8);
  data_bytes = std::min(data_bytes, uint64_t{1} << 62);
  std::string_view text(reinterpret_cast<const char*>(data) + 8, size - 8);
  uint64_t file_size = size + data_bytes;
  try {
    uint64_t covered = size;
    for (const auto& [name, entry] : ll::parse_safetensors_header(text, file_size, "fuzz")) {
      uint64_t bytes = static_cast<uint64_t>(entry.shape.numel()) * ll::size_of(entry.dtype);
      if (entry.offset < size || entry.offset + bytes > file_size) __builtin_trap();
      covered += bytes;
    }
    if (covered != file_size) __builtin_trap();
  } catch (const ll::Error&) {
  }
  try {
    for (const auto& [tensor, file] : ll::parse_safetensors_index(text, "fuzz"))
      if (file.empty() || file.find('/') != std::string::npos || file == "..") __builtin_trap();
  } catch (const ll::Error&) {
  }
  return 0;
}
