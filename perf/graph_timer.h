#pragma once
// Times of device work without the host's share: calls are captured into a graph, which is
// replayed.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace ll::perf {

class GraphTimer {
 public:
  explicit GraphTimer(const Backend& backend)
      : backend_(backend), stream_(backend.device.create_stream()) {
    check(backend.graphs != nullptr, "this benchmark needs a device with graphs");
  }

  Stream stream() const { return stream_; }

  // Microseconds of one call of `enqueue(i)`, i < calls: the median over replays of a graph of all
  // of them.
  template <class F>
  double microseconds(int calls, F&& enqueue) const {
    const DeviceApi& device = backend_.device;
    enqueue(0);  // loads code, and lets ops choose
    device.synchronize(stream_);
    backend_.graphs->begin_capture(stream_);
    for (int i = 0; i < calls; ++i) enqueue(i);
    Graph graph = backend_.graphs->end_capture(stream_);
    Event begin = device.create_event(), end = device.create_event();
    std::vector<double> times;
    for (int run = -1; run < kReplays; ++run) {
      device.record(begin, stream_);
      backend_.graphs->launch(graph, stream_);
      device.record(end, stream_);
      device.synchronize(stream_);
      if (run >= 0)
        times.push_back(1000.0 * static_cast<double>(device.elapsed_ms(begin, end)) / calls);
    }
    device.destroy_event(begin);
    device.destroy_event(end);
    backend_.graphs->destroy(graph);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

 private:
  static constexpr int kReplays = 7;

  const Backend& backend_;
  Stream stream_;
};

// "--name a,b,c" among the arguments, as a list; empty when it is not there.
inline std::vector<std::string> list_option(int argc, char** argv, const std::string& name) {
  std::vector<std::string> items;
  for (int i = 1; i + 1 < argc; ++i) {
    if (argv[i] != "--" + name) continue;
    std::string text = argv[i + 1];
    for (size_t at = 0, end = 0; end != std::string::npos; at = end + 1) {
      end = text.find(',', at);
      items.push_back(text.substr(at, end - at));
    }
  }
  return items;
}

// Whether a list names `item`; an empty list names everything.
inline bool names(const std::vector<std::string>& list, const std::string& item) {
  return list.empty() || std::find(list.begin(), list.end(), item) != list.end();
}

// Read rate of an H200's memory and rate of its bfloat16 products, measured.
constexpr double kReadTbs = 4.37, kProductTflops = 792;

struct ModelShape {
  const char* name;
  int64_t hidden, ffn, heads, kv_heads, head_dim, vocab;
};
constexpr ModelShape kModels[] = {{"0.5b", 896, 4864, 14, 2, 64, 151936},
                                  {"1.5b", 1536, 8960, 12, 2, 128, 151936},
                                  {"3b", 2048, 11008, 16, 2, 128, 151936},
                                  {"7b", 3584, 18944, 28, 4, 128, 152064}};

}  // namespace ll::perf
