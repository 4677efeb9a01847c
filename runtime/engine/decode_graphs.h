#pragma once
// Captured decode steps: a step of few rows is decided by launches, and a graph launches them all
// at once. Steps are padded to a bucket of rows; each bucket is captured when it is first needed a
// second time (the first time runs directly and warms everything up).
#include <functional>
#include <map>
#include <tuple>
#include <vector>

#include "kernels/backend.h"

namespace ll {

class DecodeGraphs {
 public:
  // Up to `max_rows` rows; 0, or a backend without graphs: none.
  DecodeGraphs(const Backend& backend, Stream stream, int32_t max_rows);
  ~DecodeGraphs();
  DecodeGraphs(const DecodeGraphs&) = delete;
  DecodeGraphs& operator=(const DecodeGraphs&) = delete;

  // Rows a decode step of `rows` rows is padded to, at most max_rows; 0: it is not captured.
  int32_t bucket(int32_t rows) const;

  // All that bucket() can give, the smallest first.
  std::vector<int32_t> buckets() const;

  // Device memory the driver takes for the graphs of all buckets. It tells nobody beforehand, so
  // this is an estimate on the safe side: kBytesPerNode for each kernel of a step.
  static size_t estimated_bytes(int32_t max_rows, int64_t num_layers);

  enum class Mode : int8_t { kStationary, kGathered, kOneKernel };

  // What distinguishes captured steps.
  struct Key {
    int32_t bucket = 0;
    Mode mode = Mode::kStationary;
    bool groups = false;     // of rows that read a prefix together
    int32_t num_drafts = 0;  // see StepPlan
    bool samples = false;    // plain sampling is part of it
    int32_t generation = 0;  // of the buffers it reads
    auto operator<=>(const Key&) const = default;
  };
  // Runs `work`, through a graph from the second time on. It must launch the same kernels on the
  // same memory each time; other streams it uses it joins by events alone, before it ends.
  void run(const Key& key, const std::function<void()>& work);

 private:
  struct Entry {
    bool is_warm = false, is_captured = false;
    Graph graph;
  };
  const Backend& backend_;
  Stream stream_;
  int32_t max_rows_;
  std::map<Key, Entry> entries_;
};

}  // namespace ll
