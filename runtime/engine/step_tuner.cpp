#include "runtime/engine/step_tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

namespace ll {
namespace {

constexpr int kTryRuns = 2;
constexpr float kHopeless = 1.1f;      // so much slower than the best: one run is enough
constexpr size_t kFinalists = 2;       // of a shape's ways, compared with the one chosen so far
constexpr size_t kSecondRound = 4;     // ways that are tried again
constexpr float kFasterStep = 0.997f;  // less may be noise

// The names that rank 0 has.
std::vector<std::string> shared_names(const MpiGroup& ranks, const std::vector<std::string>& own) {
  std::istringstream lines(ranks.broadcast_text(fmt::format("{}", fmt::join(own, "\n")), 0));
  std::vector<std::string> names;
  for (std::string name; std::getline(lines, name);) names.push_back(name);
  return names;
}

}  // namespace

StepTuner::StepTuner(const Backend& backend, Stream stream, const MpiGroup& ranks,
                     std::function<void()> step)
    : tuning_(*backend.linear_tuning),
      stream_(stream),
      ranks_(ranks),
      step_(std::move(step)),
      clock_(backend, stream, ranks) {}

void StepTuner::run(Care care) {
  tuning_.watch(stream_);
  step_();
  find_shapes();
  begin_with_best_kind();
  std::vector<Shape> start = shapes_;
  descend(Order::kLastFirst);
  if (care == Care::kOnce || shapes_.empty()) return;
  std::vector<Shape> first = std::exchange(shapes_, std::move(start));
  choose_all_of(shapes_);
  descend(Order::kFirstFirst);
  if (!clock_.is_faster(step_with(shapes_), step_with(first), kFasterStep)) shapes_ = first;
  choose_all_of(shapes_);
}

void StepTuner::descend(Order order) {
  if (choose_all(order) < 2) return;  // no other's neighbours have changed
  for (Shape& s : shapes_) s.ways.resize(std::min(s.ways.size(), kSecondRound));
  choose_all(order);
}

void StepTuner::find_shapes() {
  auto ways = tuning_.ways(stream_);
  auto count = static_cast<int64_t>(ways.size());
  if (ranks_.min(count) != ranks_.max(count)) return;
  for (const auto& own : ways) {
    Shape shape;
    for (const std::string& name : shared_names(ranks_, own)) {
      auto found = std::find(own.begin(), own.end(), name);
      shape.ways.push_back({static_cast<int>(shape.ways.size())});
      shape.kinds.push_back(name.substr(0, name.find_first_of("0123456789")));
      shape.own_numbers.push_back(found == own.end() ? 0 : static_cast<int>(found - own.begin()));
    }
    shapes_.push_back(std::move(shape));
  }
}

StepTuner::Way StepTuner::Shape::first_of(const std::string& kind) const {
  auto first = std::find(kinds.begin(), kinds.end(), kind);
  return first == kinds.end() ? chosen : Way{static_cast<int>(first - kinds.begin())};
}

// Where kernels of one kind suit each other, no other way for one shape alone may be faster.
void StepTuner::begin_with_best_kind() {
  std::set<std::string> kinds;
  for (const Shape& s : shapes_) kinds.insert(s.kinds.begin(), s.kinds.end());
  for (const std::string& kind : kinds) {
    std::vector<Shape> other = shapes_;
    bool is_same = true;
    for (Shape& s : other) {
      Way way = s.first_of(kind);
      is_same &= way.number == std::exchange(s.chosen, way).number;
    }
    if (!is_same && clock_.is_faster(step_with(other), step_with(shapes_), kFasterStep))
      shapes_ = other;
  }
  choose_all_of(shapes_);
}

void StepTuner::choose_all_of(const std::vector<Shape>& shapes) {
  for (size_t i = 0; i < shapes.size(); ++i) choose(i, shapes[i].chosen);
}

// `shapes` outlives it.
std::function<void()> StepTuner::step_with(const std::vector<Shape>& shapes) {
  return [this, &shapes] {
    choose_all_of(shapes);
    step_();
  };
}

std::string StepTuner::report() const {
  std::string lines;
  for (size_t i = 0; i < shapes_.size(); ++i)
    lines += fmt::format("in a step {}\n", tuning_.describe(stream_, static_cast<int>(i)));
  return lines;
}

int StepTuner::choose_all(Order order) {
  int num_changed = 0;
  for (size_t i = 0; i < shapes_.size(); ++i) {
    size_t shape = order == Order::kFirstFirst ? i : shapes_.size() - 1 - i;
    Shape& s = shapes_[shape];
    if (s.ways.size() < 2) continue;
    int before = s.chosen.number;
    try_all(shape);
    keep_best(shape);
    num_changed += s.chosen.number != before;
  }
  return num_changed;
}

void StepTuner::choose(size_t shape, const Way& way) {
  int own = shapes_[shape].own_numbers[static_cast<size_t>(way.number)];
  tuning_.choose(stream_, static_cast<int>(shape), own, way.is_early);
}

// Leaves the ways sorted by the step's time.
void StepTuner::try_all(size_t shape) {
  std::vector<Way>& ways = shapes_[shape].ways;
  float best = std::numeric_limits<float>::infinity();
  for (Way& way : ways) {
    choose(shape, way);
    way.us = microseconds(kTryRuns, kHopeless * best);
    best = std::min(best, way.us);
  }
  std::stable_sort(ways.begin(), ways.end(),
                   [](const Way& a, const Way& b) { return a.us < b.us; });
}

// Keeps the best of the ways that seemed faster than the one chosen so far, and lets the next
// kernel start early where that is faster.
void StepTuner::keep_best(size_t shape) {
  Shape& s = shapes_[shape];
  for (size_t i = 0; i < std::min(kFinalists, s.ways.size()); ++i) {
    if (s.ways[i].number == s.chosen.number) break;
    if (is_faster(shape, s.ways[i])) s.chosen = s.ways[i];
  }
  Way other = s.chosen;
  other.is_early = !other.is_early;
  if (is_faster(shape, other)) s.chosen = other;
  choose(shape, s.chosen);
}

bool StepTuner::is_faster(size_t shape, const Way& way) {
  Way chosen = shapes_[shape].chosen;
  auto with = [&](const Way& w) {
    return [this, shape, w] {
      choose(shape, w);
      step_();
    };
  };
  return clock_.is_faster(with(way), with(chosen), kFasterStep);
}

}  // namespace ll
