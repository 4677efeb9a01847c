#pragma once
// What a device offers besides arithmetic: memory, streams, events and graphs. A backend is data:
// structs of references to functions, so one that leaves a function out does not compile.
#include <cstddef>
#include <cstdint>

namespace ll {

// Work on one stream runs in order. The CPU backend has one stream and runs each op before it
// returns.
struct Stream {
  void* handle = nullptr;
};
struct Event {
  void* handle = nullptr;
};
struct Graph {
  void* handle = nullptr;
};

struct MemoryInfo {
  size_t free_bytes = 0, total_bytes = 0;
};

struct DeviceApi {
  void* (&alloc)(size_t bytes);  // throws Error with the numbers when it does not fit
  void (&free)(void* p);
  void* (&alloc_host)(size_t bytes);  // pinned where the device copies asynchronously
  void (&free_host)(void* p);
  void (&copy)(Stream stream, void* dst, const void* src, size_t bytes);  // any direction
  // From memory of alloc_host to the device, multiples of 16 bytes: sooner there than by copy if it
  // is little.
  void (&upload)(Stream stream, void* dst, const void* src, size_t bytes);
  void (&fill)(Stream stream, void* dst, int byte, size_t bytes);
  Stream (&create_stream)();
  // For copies and collectives beside the ops of another stream: it has none of the memory that ops
  // share, and those that need it refuse to run on it.
  Stream (&create_side_stream)();
  void (&destroy_stream)(Stream stream);
  void (&synchronize)(Stream stream);
  Event (&create_event)();
  void (&destroy_event)(Event event);
  void (&record)(Event event, Stream stream);
  bool (&is_done)(Event event);    // never blocks
  void (&wait_host)(Event event);  // sleeps, does not spin
  void (&wait_stream)(Stream stream,
                      Event event);  // later work of the stream waits, the host does not
  float (&elapsed_ms)(Event from, Event to);
  MemoryInfo (&memory_info)();
};

// Absent (null in Backend) on a device without graphs; the runner then launches every op.
struct GraphApi {
  void (&begin_capture)(Stream stream);
  Graph (&end_capture)(Stream stream);
  void (&launch)(Graph graph, Stream stream);
  void (&destroy)(Graph graph);
};

}  // namespace ll
