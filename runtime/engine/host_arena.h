#pragma once
// Host memory that the device copies to without anybody waiting: handed out bit by bit, and all of
// it free again at once.
#include <cstddef>
#include <vector>

#include "kernels/backend.h"

namespace ll {

class HostArena {
 public:
  explicit HostArena(const DeviceApi& device) : device_(device) {}
  ~HostArena();
  HostArena(const HostArena&) = delete;
  HostArena& operator=(const HostArena&) = delete;

  // Room for `count` values, whatever was in it. It stays where it is until reset().
  template <class T>
  T* take(size_t count) {
    return static_cast<T*>(take_bytes(count * sizeof(T)));
  }
  // What was taken is free; nothing may be on its way to it. The memory is kept.
  void reset();

 private:
  struct Block {
    std::byte* data;
    size_t size;
  };
  void* take_bytes(size_t bytes);

  const DeviceApi& device_;
  std::vector<Block> blocks_;
  size_t current_ = 0, used_ = 0;  // of blocks_, and of the current block
};

}  // namespace ll
