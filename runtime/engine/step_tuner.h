#pragma once
// Chooses how to do a decode step's products by what the whole step then takes: kernels end while
// the next ones start, and what of it overlaps is seen in the step alone.
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "runtime/engine/step_clock.h"

namespace ll {

class StepTuner {
 public:
  // The backend has LinearTuning and graphs. `step` launches the same work each time; what it
  // measures of products alone it has measured before. `ranks` do the step together, and all choose
  // the same.
  StepTuner(const Backend& backend, Stream stream, const MpiGroup& ranks,
            std::function<void()> step);

  // From all shapes' fastest alone, or fastest of one kind where these are faster together, one
  // shape after the other, the step's last one first; twice, as the best for one depends on its
  // neighbours. With care the same is done again from the step's first shape on, which may end
  // elsewhere, and the faster end is kept. Nothing where the ranks' steps have different products.
  // Collective over the ranks.
  enum class Care : uint8_t { kOnce, kFromBothEnds };
  void run(Care care = Care::kOnce);

  // What was chosen, a line for each shape; for a log.
  std::string report() const;

 private:
  struct Way {
    int number = 0;  // on rank 0
    bool is_early = false;
    float us = 0;  // of the step with it when it was tried
  };
  struct Shape {
    std::vector<Way> ways;           // worth trying
    std::vector<std::string> kinds;  // of the ways by number: their names up to a digit
    std::vector<int> own_numbers;    // of rank 0's ways; the fastest alone for one that is not here
    Way chosen;

    // The one chosen where there is none of the kind.
    Way first_of(const std::string& kind) const;
  };
  void find_shapes();
  void begin_with_best_kind();
  enum class Order : uint8_t { kLastFirst, kFirstFirst };
  void descend(Order order);
  int choose_all(Order order);  // returns how many choices have changed
  void choose_all_of(const std::vector<Shape>& shapes);
  std::function<void()> step_with(const std::vector<Shape>& shapes);
  void choose(size_t shape, const Way& way);
  // What the step takes; less exactly where that is `hopeless` or more.
  float microseconds(int num_runs, float hopeless) {
    return clock_.microseconds(step_, num_runs, hopeless);
  }
  void try_all(size_t shape);
  void keep_best(size_t shape);
  // Whether the step is faster with `way`: both are measured in turns, as the clock changes.
  bool is_faster(size_t shape, const Way& way);

  const LinearTuning& tuning_;
  Stream stream_;
  MpiGroup ranks_;
  std::function<void()> step_;
  StepClock clock_;
  std::vector<Shape> shapes_;
};

}  // namespace ll
