#include "runtime/engine/step_trace.h"

#include "base/output_file.h"

namespace ll {

StepTrace::StepTrace(const Backend& backend, Stream stream, size_t max_steps, Keeps keeps)
    : backend_(backend), stream_(stream), max_steps_(max_steps), keeps_(keeps) {
  steps_.reserve(max_steps);
}

StepTrace::~StepTrace() {
  for (Step& s : steps_) {
    backend_.device.destroy_event(s.begin);
    backend_.device.destroy_event(s.end);
  }
}

void StepTrace::begin_step(int32_t id, int32_t rows) {
  if (steps_.size() < max_steps_) {
    steps_.push_back({id, rows, backend_.device.create_event(), backend_.device.create_event()});
  } else {
    if (keeps_ == Keeps::kFirst) return;
    Step& oldest = steps_[oldest_];
    oldest = {id, rows, oldest.begin, oldest.end};
    oldest_ = (oldest_ + 1) % max_steps_;
  }
  backend_.device.record(newest().begin, stream_);
}

void StepTrace::end_step() {
  if (steps_.empty() || newest().is_complete) return;
  backend_.device.record(newest().end, stream_);
  newest().is_complete = true;
}

StepTrace::Summary StepTrace::summary() {
  backend_.device.synchronize(stream_);
  Summary s{.steps = steps_.size()};
  for (size_t i = 0; i < steps_.size(); ++i) {
    s.busy_ms += backend_.device.elapsed_ms(step(i).begin, step(i).end);
    if (i > 0) s.idle_ms += backend_.device.elapsed_ms(step(i - 1).end, step(i).begin);
  }
  return s;
}

void StepTrace::write(const std::string& path) {
  backend_.device.synchronize(stream_);
  OutputFile out(path, /*overwrite=*/true);
  out.write_line("[");
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& s = step(i);
    out.write_line(fmt::format(
        R"json({{"name":"step {} ({} rows)","ph":"X","pid":0,"tid":0,"ts":{:.1f},"dur":{:.1f}}}{})json",
        s.id, s.rows, 1e3 * backend_.device.elapsed_ms(step(0).begin, s.begin),
        1e3 * backend_.device.elapsed_ms(s.begin, s.end), i + 1 < steps_.size() ? "," : ""));
  }
  out.write_line("]");
  out.close();
}

}  // namespace ll
