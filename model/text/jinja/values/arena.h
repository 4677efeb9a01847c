#pragma once
// Memory of one rendering (or one compiled template): handed out in rising addresses, given back
// all at once. What lives here is never destroyed, so it owns nothing.
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ll::jinja {

class Arena {
 public:
  // Throws Error once more than `max_bytes` are asked for.
  explicit Arena(size_t max_bytes) : bytes_left_(max_bytes) {}

  // Not initialised.
  template <class T>
  T* array(size_t n) {
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(allocate(n, sizeof(T)));
  }
  template <class T, class... Args>
  T* make(Args&&... args) {
    return new (array<T>(1)) T{std::forward<Args>(args)...};
  }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* place = array<char>(text.size());
    std::copy(text.begin(), text.end(), place);
    return {place, text.size()};
  }

  // The `n` things at `begin` with room for `more` behind them: where they lie, or a copy. Texts
  // and lists that grow by bits take time and memory in proportion to their last size. What stands
  // behind `begin + n` belongs to nobody else.
  template <class T>
  T* grown(const T* begin, size_t n, size_t more) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (take_room(begin + n, more * sizeof(T))) return const_cast<T*>(begin);
    size_t room = (n + more) * sizeof(T) < kGrows ? n + more : 2 * (n + more);
    T* copy = array<T>(room);
    std::copy(begin, begin + n, copy);
    if (room > n + more) remember(copy + n + more, copy + room);
    return copy;
  }

 private:
  static constexpr size_t kGrows = 1024;  // bytes from which on room is kept
  struct Room {
    const void *begin = nullptr, *end = nullptr;
  };

  void* allocate(size_t n, size_t size);
  void add_block(size_t bytes);
  bool take_room(const void* end, size_t bytes);
  void remember(const void* begin, const void* end) {
    rooms_[next_room_++ % rooms_.size()] = {begin, end};
  }

  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::byte *at_ = nullptr, *end_ = nullptr;
  size_t bytes_left_;
  std::array<Room, 8> rooms_;  // behind what grew last
  size_t next_room_ = 0;
};

}  // namespace ll::jinja
