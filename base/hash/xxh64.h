#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace ll {

// XXH64 [Collet, xxHash fast digest algorithm, version 0.1.1]: a checksum at the speed of memory;
// not for secrets.
uint64_t xxh64(std::span<const std::byte> data, uint64_t seed = 0);

}  // namespace ll
