#pragma once
// How long the device takes for a step, captured as a graph and replayed.
#include <functional>
#include <limits>

#include "kernels/backend.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

class StepClock {
 public:
  // The backend has graphs. `ranks` do each step together, and all learn the same.
  StepClock(const Backend& backend, Stream stream, const MpiGroup& ranks);
  ~StepClock();
  StepClock(const StepClock&) = delete;
  StepClock& operator=(const StepClock&) = delete;

  // The best of a few runs of one graph, after one that does not count; less exactly where that is
  // `hopeless` or more. Collective over the ranks.
  float microseconds(const std::function<void()>& step, int num_runs,
                     float hopeless = std::numeric_limits<float>::infinity());

  // Whether `step` takes at most this share of the time of `other`: both are measured in turns, as
  // the GPU's clock changes. Collective over the ranks.
  bool is_faster(const std::function<void()>& step, const std::function<void()>& other,
                 float share = 1);

 private:
  const Backend& backend_;
  Stream stream_;
  MpiGroup ranks_;
  Event begin_, end_;
};

}  // namespace ll
