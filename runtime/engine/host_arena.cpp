#include "runtime/engine/host_arena.h"

#include <algorithm>

#include "base/numbers.h"

namespace ll {
namespace {

constexpr size_t kAlignment = 64, kSmallestBlock = size_t{64} << 10;

}  // namespace

HostArena::~HostArena() {
  for (const Block& block : blocks_) device_.free_host(block.data);
}

void HostArena::reset() { current_ = used_ = 0; }

void* HostArena::take_bytes(size_t bytes) {
  for (; current_ < blocks_.size(); ++current_, used_ = 0) {
    if (bytes > blocks_[current_].size - used_) continue;
    void* memory = blocks_[current_].data + used_;
    used_ = std::min(round_up(used_ + bytes, kAlignment), blocks_[current_].size);
    return memory;
  }
  size_t size = std::max(round_up(bytes, kAlignment),
                         blocks_.empty() ? kSmallestBlock : 2 * blocks_.back().size);
  blocks_.push_back({static_cast<std::byte*>(device_.alloc_host(size)), size});
  used_ = round_up(bytes, kAlignment);
  return blocks_.back().data;
}

}  // namespace ll
