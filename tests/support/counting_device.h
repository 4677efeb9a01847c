#pragma once
// The CPU as a device that counts what is allocated from it.
#include <cstddef>
#include <map>

#include "kernels/backend.h"

namespace ll::test {

class CountingDevice {
 public:
  // A backend whose tensors, events and staging memory are counted.
  static Backend wrap(const Backend& cpu) {
    real() = &cpu.device;
    static const DeviceApi api{alloc,
                               release,
                               alloc_host,
                               free_host,
                               cpu.device.copy,
                               cpu.device.upload,
                               cpu.device.fill,
                               cpu.device.create_stream,
                               cpu.device.create_side_stream,
                               cpu.device.destroy_stream,
                               cpu.device.synchronize,
                               create_event,
                               destroy_event,
                               cpu.device.record,
                               cpu.device.is_done,
                               cpu.device.wait_host,
                               cpu.device.wait_stream,
                               cpu.device.elapsed_ms,
                               cpu.device.memory_info};
    return {.kind = cpu.kind,
            .device_name = cpu.device_name,
            .device = api,
            .ops = cpu.ops,
            .graphs = cpu.graphs,
            .fixed_page_size = cpu.fixed_page_size};
  }

  static size_t device_bytes() { return counts().device_bytes; }
  static size_t host_blocks() { return counts().host_blocks; }
  static size_t events() { return counts().events; }

 private:
  struct Counts {
    std::map<void*, size_t> blocks;
    size_t device_bytes = 0, host_blocks = 0, events = 0;
  };
  static Counts& counts() {
    static Counts c;
    return c;
  }
  static const DeviceApi*& real() {
    static const DeviceApi* device = nullptr;
    return device;
  }
  static void* alloc(size_t bytes) {
    void* p = real()->alloc(bytes);
    counts().blocks[p] = bytes;
    counts().device_bytes += bytes;
    return p;
  }
  static void release(void* p) {
    auto block = counts().blocks.find(p);
    if (block != counts().blocks.end()) {
      counts().device_bytes -= block->second;
      counts().blocks.erase(block);
    }
    real()->free(p);
  }
  static void* alloc_host(size_t bytes) {
    ++counts().host_blocks;
    return real()->alloc_host(bytes);
  }
  static void free_host(void* p) {
    --counts().host_blocks;
    real()->free_host(p);
  }
  static Event create_event() {
    ++counts().events;
    return real()->create_event();
  }
  static void destroy_event(Event event) {
    --counts().events;
    real()->destroy_event(event);
  }
};

}  // namespace ll::test
