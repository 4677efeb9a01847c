#pragma once
// The CPU as a device with graphs, where products have several ways to be done, and time is what a
// test says. What is captured is done at once.
#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/device.h"

namespace ll::test {

// One at a time.
class Rehearsal {
 public:
  static constexpr int kShapes = 3, kWays = 6;
  struct Choice {
    int way = 0;
    bool is_early = false;
  };
  using Choices = std::array<Choice, kShapes>;

  Rehearsal() { now() = this; }
  Rehearsal(const Rehearsal&) = delete;
  Rehearsal& operator=(const Rehearsal&) = delete;

  const Backend& backend() const { return backend_; }

  // Each shape's are 0, 1, 2 and so on.
  static std::vector<std::vector<std::string>> same_ways(int count) {
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) names.push_back(std::to_string(i));
    return std::vector(kShapes, names);
  }

  // Microseconds of a step by the ways of its shapes' products.
  std::function<float(const Choices&)> cost = [](const Choices&) { return 1000.0f; };
  // Their names, by shape.
  std::vector<std::vector<std::string>> ways = same_ways(kWays);
  float noise = 0;  // of a run, up to this share
  uint32_t seed = 1;
  Choices chosen;
  int num_steps = 0;  // for the test
  int num_watches = 0, num_runs = 0, num_open_graphs = 0;
  bool is_watching = false, is_capturing = false;

 private:
  static Rehearsal*& now() {
    static Rehearsal* rehearsal = nullptr;
    return rehearsal;
  }

  static const LinearTuning& tuning() {
    static const LinearTuning api{buckets, watch, end_watch, choose, describe};
    return api;
  }
  static std::vector<int64_t> buckets(int64_t) { return {}; }
  static void watch(Stream) {
    now()->is_watching = true;
    ++now()->num_watches;
  }
  static std::vector<std::vector<std::string>> end_watch(Stream) {
    now()->is_watching = false;
    return now()->ways;
  }
  static void choose(Stream, int shape, int way, bool is_early) {
    CHECK(way < static_cast<int>(now()->ways.at(static_cast<size_t>(shape)).size()));
    now()->chosen.at(static_cast<size_t>(shape)) = {way, is_early};
  }
  static std::string describe(Stream, int shape) {
    return "shape " + std::to_string(shape) + ": " +
           std::to_string(now()->chosen.at(static_cast<size_t>(shape)).way);
  }

  static const GraphApi& graphs() {
    static const GraphApi api{begin_capture, end_capture, launch, destroy};
    return api;
  }
  static void begin_capture(Stream) { now()->is_capturing = true; }
  static Graph end_capture(Stream) {
    now()->is_capturing = false;
    ++now()->num_open_graphs;
    return {};
  }
  static void launch(Graph, Stream) { CHECK(now()->num_open_graphs == 1); }
  static void destroy(Graph) { --now()->num_open_graphs; }

  static const DeviceApi& device() {
    static const DeviceApi& cpu = test::backend().device;
    static const DeviceApi api{cpu.alloc,          cpu.free,          cpu.alloc_host,
                               cpu.free_host,      cpu.copy,          cpu.upload,
                               cpu.fill,           cpu.create_stream, cpu.create_side_stream,
                               cpu.destroy_stream, cpu.synchronize,   cpu.create_event,
                               cpu.destroy_event,  cpu.record,        cpu.is_done,
                               cpu.wait_host,      cpu.wait_stream,   elapsed_ms,
                               cpu.memory_info};
    return api;
  }
  static float elapsed_ms(Event, Event) {
    Rehearsal& r = *now();
    ++r.num_runs;
    r.seed = r.seed * 1664525 + 1013904223;
    float share = static_cast<float>(r.seed >> 8) / (1 << 24);
    return r.cost(r.chosen) * (1 + r.noise * share) / 1000;
  }

  Backend backend_{.kind = test::backend().kind,
                   .device_name = "rehearsal",
                   .device = device(),
                   .ops = test::backend().ops,
                   .graphs = &graphs(),
                   .linear_tuning = &tuning()};
};

}  // namespace ll::test
