#pragma once
// Small arrays on their way to the device: gathered in host memory, sent in one copy. A ring of
// host buffers lets the host fill the next step while earlier copies are still under way; the
// device buffer is one, in stream order. Both grow when a step needs more.
#include <span>
#include <vector>

#include "kernels/backend.h"

namespace ll {

class StagedUpload {
 public:
  StagedUpload(const Backend& backend, Stream stream, size_t capacity);
  ~StagedUpload();
  StagedUpload(const StagedUpload&) = delete;
  StagedUpload& operator=(const StagedUpload&) = delete;

  // Where an array will be; get() tells after upload(). Arrays added in the same order with the
  // same sizes land in the same places.
  template <class T>
  struct Place {
    size_t offset = 0, count = 0;
  };

  void begin();
  template <class T>
  Place<T> add(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    return {add_bytes(values.data(), values.size_bytes()), values.size()};
  }
  template <class T>
  Place<T> add(const std::vector<T>& values) {
    return add(std::span<const T>(values));
  }
  void upload();
  // Device memory; null data when it is empty.
  template <class T>
  std::span<const T> get(Place<T> place) const {
    if (place.count == 0) return {};
    auto* bytes = static_cast<const std::byte*>(device_.view().data) + place.offset;
    return {reinterpret_cast<const T*>(bytes), place.count};
  }

  // The same for ops that write it, before the next upload.
  template <class T>
  std::span<T> get_writable(Place<T> place) const {
    std::span<const T> values = get(place);
    return {const_cast<T*>(values.data()), values.size()};
  }

  // Changes whenever the device buffer moves.
  int generation() const { return generation_; }

 private:
  static constexpr size_t kAlignment = 256, kRing = 3;
  struct HostBuffer {
    void* memory = nullptr;
    Event copied;
  };
  size_t add_bytes(const void* data, size_t bytes);
  void allocate(size_t capacity);
  void free_ring();

  const Backend& backend_;
  Stream stream_;
  Tensor device_;
  std::vector<HostBuffer> ring_;
  std::vector<std::byte> gathered_;
  size_t current_ = 0;
  int generation_ = 0;
};

}  // namespace ll
