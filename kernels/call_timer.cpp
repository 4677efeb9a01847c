#include "kernels/call_timer.h"

#include <algorithm>

namespace ll {

double seconds_a_call(const Backend& backend, Stream stream, int calls,
                      const std::function<void(int)>& work,
                      const std::function<void()>& before_run) {
  constexpr int kRuns = 4;
  const DeviceApi& device = backend.device;
  auto all = [&] {
    for (int i = 0; i < calls; ++i) work(i);
  };
  all();  // whatever is chosen or allocated on first use
  Graph graph;
  if (backend.graphs) {
    backend.graphs->begin_capture(stream);
    all();
    graph = backend.graphs->end_capture(stream);
  }
  Event from = device.create_event(), to = device.create_event();
  double best = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    device.synchronize(stream);
    if (before_run) before_run();
    device.record(from, stream);
    backend.graphs ? backend.graphs->launch(graph, stream) : all();
    device.record(to, stream);
    device.wait_host(to);
    if (run > 0) best = std::min(best, 1e-3 * device.elapsed_ms(from, to) / calls);
  }
  device.destroy_event(from);
  device.destroy_event(to);
  if (backend.graphs) backend.graphs->destroy(graph);
  return best;
}

}  // namespace ll
