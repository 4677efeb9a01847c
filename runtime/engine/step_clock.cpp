#include "runtime/engine/step_clock.h"

#include <algorithm>
#include <cmath>

namespace ll {
namespace {

constexpr int kCompareRuns = 4, kCompareTurns = 2;

}  // namespace

StepClock::StepClock(const Backend& backend, Stream stream, const MpiGroup& ranks)
    : backend_(backend),
      stream_(stream),
      ranks_(ranks),
      begin_(backend.device.create_event()),
      end_(backend.device.create_event()) {}

StepClock::~StepClock() {
  backend_.device.destroy_event(begin_);
  backend_.device.destroy_event(end_);
}

// Ranks end a step together; the one that was the last to begin has not waited for others.
float StepClock::microseconds(const std::function<void()>& step, int num_runs, float hopeless) {
  backend_.graphs->begin_capture(stream_);
  step();
  Graph graph = backend_.graphs->end_capture(stream_);
  auto time = [&] {
    backend_.device.record(begin_, stream_);
    backend_.graphs->launch(graph, stream_);
    backend_.device.record(end_, stream_);
    backend_.device.synchronize(stream_);
    float ns = 1e6f * backend_.device.elapsed_ms(begin_, end_);
    return static_cast<float>(ranks_.min(std::llround(ns))) / 1000;
  };
  time();
  float best = time();
  for (int i = 1; i < num_runs && best < hopeless; ++i) best = std::min(best, time());
  backend_.graphs->destroy(graph);
  return best;
}

bool StepClock::is_faster(const std::function<void()>& step, const std::function<void()>& other,
                          float share) {
  float before = 0, after = 0;
  for (int turn = 0; turn < kCompareTurns; ++turn) {
    before += microseconds(other, kCompareRuns);
    after += microseconds(step, kCompareRuns);
  }
  return after < share * before;
}

}  // namespace ll
