#include "runtime/batch/journal/input_digest.h"

#include <algorithm>
#include <vector>

#include "base/hash/sha256.h"
#include "base/input_file.h"

namespace ll {

InputDigest digest_input(const std::string& path) {
  constexpr uint64_t kBlockBytes = uint64_t{1} << 20;
  InputFile file(path);
  InputDigest digest{.sha256 = "", .bytes = static_cast<int64_t>(file.size())};
  Sha256 hash;
  std::vector<std::byte> buffer(std::min(kBlockBytes, file.size()));
  std::byte last{'\n'};
  for (uint64_t at = 0; at < file.size(); at += kBlockBytes) {
    auto block = std::span(buffer).first(std::min(kBlockBytes, file.size() - at));
    file.read(at, block);
    hash.update(block);
    digest.lines += std::count(block.begin(), block.end(), std::byte{'\n'});
    last = block.back();
  }
  digest.lines += last != std::byte{'\n'};
  digest.sha256 = hash.hex();
  return digest;
}

}  // namespace ll
