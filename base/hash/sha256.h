#pragma once
// SHA-256 [FIPS 180-4].
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ll {

class Sha256 {
 public:
  void update(std::span<const std::byte> data);
  std::string hex();  // 64 digits; ends the message, no update() after it

 private:
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> block_ = {};  // the first length_ % 64 bytes wait for the rest
  uint64_t length_ = 0;                   // bytes seen
};

std::string sha256_hex(std::string_view text);

}  // namespace ll
