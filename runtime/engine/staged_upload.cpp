#include "runtime/engine/staged_upload.h"

#include <cstring>

#include "base/numbers.h"

namespace ll {

StagedUpload::StagedUpload(const Backend& backend, Stream stream, size_t capacity)
    : backend_(backend), stream_(stream) {
  allocate(capacity);
}

StagedUpload::~StagedUpload() { free_ring(); }

void StagedUpload::free_ring() {
  for (HostBuffer& b : ring_) {
    backend_.device.free_host(b.memory);
    backend_.device.destroy_event(b.copied);
  }
  ring_.clear();
}

void StagedUpload::allocate(size_t capacity) {
  backend_.device.synchronize(stream_);
  free_ring();
  device_ = Tensor(backend_.device, DType::u8, {static_cast<int64_t>(capacity)});
  for (size_t i = 0; i < kRing; ++i) {
    ring_.push_back({backend_.device.alloc_host(capacity), backend_.device.create_event()});
    backend_.device.record(ring_.back().copied, stream_);
  }
  ++generation_;
}

void StagedUpload::begin() { gathered_.clear(); }

size_t StagedUpload::add_bytes(const void* data, size_t bytes) {
  size_t offset = gathered_.size();
  gathered_.resize(offset + round_up(bytes, kAlignment));
  if (bytes > 0) std::memcpy(gathered_.data() + offset, data, bytes);
  return offset;
}

void StagedUpload::upload() {
  if (gathered_.empty()) return;
  if (gathered_.size() > device_.bytes()) allocate(gathered_.size() * 2);
  current_ = (current_ + 1) % kRing;
  HostBuffer& host = ring_[current_];
  backend_.device.wait_host(host.copied);
  std::memcpy(host.memory, gathered_.data(), gathered_.size());
  backend_.device.upload(stream_, device_.view().data, host.memory, gathered_.size());
  backend_.device.record(host.copied, stream_);
}

}  // namespace ll
