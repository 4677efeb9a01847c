#pragma once
// FNV-1a: a hash of a few lines, for checksums and for comparing ranks; not for secrets.
#include <cstdint>

namespace ll {

struct Fnv32 {
  uint32_t value = 2166136261u;

  // A byte, or any number of up to 32 bits at once.
  void add(uint32_t x) { value = (value ^ x) * 16777619u; }
};

struct Fnv64 {
  uint64_t value = 14695981039346656037u;

  void add(uint64_t x) { value = (value ^ x) * 1099511628211u; }
};

}  // namespace ll
