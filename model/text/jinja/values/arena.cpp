#include "model/text/jinja/values/arena.h"

#include "base/check.h"
#include "base/numbers.h"

namespace ll::jinja {

namespace {

constexpr size_t kBlockBytes = size_t{64} << 10, kAlignment = alignof(std::max_align_t);

[[noreturn]] void refuse() { fail("it needs more memory than a template may take"); }

size_t aligned(size_t bytes) { return round_up(bytes, kAlignment); }

}  // namespace

void* Arena::allocate(size_t n, size_t size) {
  if (n > bytes_left_ / size) refuse();
  size_t bytes = aligned(n * size);
  if (bytes > static_cast<size_t>(end_ - at_)) add_block(bytes);
  return std::exchange(at_, at_ + bytes);
}

void Arena::add_block(size_t bytes) {
  size_t block = std::max(kBlockBytes, bytes);
  if (block > bytes_left_) block = bytes;
  if (block > bytes_left_) refuse();
  bytes_left_ -= block;
  blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(block));
  at_ = blocks_.back().get();
  end_ = at_ + block;
}

bool Arena::take_room(const void* end, size_t bytes) {
  for (Room& room : rooms_) {
    if (room.begin != end || end == nullptr) continue;
    const char* begin = static_cast<const char*>(room.begin);
    if (bytes > static_cast<size_t>(static_cast<const char*>(room.end) - begin)) return false;
    room.begin = begin + bytes;
    return true;
  }
  return false;
}

}  // namespace ll::jinja
