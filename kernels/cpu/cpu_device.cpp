// The CPU as a device: one stream whose ops run before they return, so streams and events have
// nothing to do.
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "base/numbers.h"
#include "kernels/cpu/cpu_ops.h"

namespace ll::cpu {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Large blocks on huge pages: streaming the weights is several percent faster with few TLB misses.
void* alloc(size_t bytes) {
  size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  size_t size = round_up(bytes, alignment);
  void* p = std::aligned_alloc(alignment, size);
  check(p != nullptr,
        "out of memory: {} bytes asked for, {} of {} free; use a smaller model, KV cache or batch",
        bytes, memory_info().free_bytes, memory_info().total_bytes);
  if (alignment == kHugePage) madvise(p, size, MADV_HUGEPAGE);
  return p;
}
void release(void* p) { std::free(p); }
void copy(Stream, void* dst, const void* src, size_t bytes) { std::memcpy(dst, src, bytes); }
void fill(Stream, void* dst, int byte, size_t bytes) { std::memset(dst, byte, bytes); }

using Clock = std::chrono::steady_clock;

Stream create_stream() { return {}; }
void destroy_stream(Stream) {}
void synchronize(Stream) {}
Event create_event() { return {new Clock::time_point(Clock::now())}; }
void destroy_event(Event event) { delete static_cast<Clock::time_point*>(event.handle); }
void record(Event event, Stream) { *static_cast<Clock::time_point*>(event.handle) = Clock::now(); }
bool is_done(Event) { return true; }
void wait_host(Event) {}
void wait_stream(Stream, Event) {}
float elapsed_ms(Event from, Event to) {
  auto at = [](Event e) { return *static_cast<Clock::time_point*>(e.handle); };
  return std::chrono::duration<float, std::milli>(at(to) - at(from)).count();
}

}  // namespace

MemoryInfo memory_info() {
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return {static_cast<size_t>(sysconf(_SC_AVPHYS_PAGES)) * page,
          static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page};
}

const DeviceApi& cpu_device() {
  static const DeviceApi api{.alloc = alloc,
                             .free = release,
                             .alloc_host = alloc,
                             .free_host = release,
                             .copy = copy,
                             .upload = copy,
                             .fill = fill,
                             .create_stream = create_stream,
                             .create_side_stream = create_stream,
                             .destroy_stream = destroy_stream,
                             .synchronize = synchronize,
                             .create_event = create_event,
                             .destroy_event = destroy_event,
                             .record = record,
                             .is_done = is_done,
                             .wait_host = wait_host,
                             .wait_stream = wait_stream,
                             .elapsed_ms = elapsed_ms,
                             .memory_info = memory_info};
  return api;
}

}  // namespace ll::cpu
