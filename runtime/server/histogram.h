#pragma once
// A histogram as Prometheus has it.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ll {

class Histogram {
 public:
  // Upper bounds of the buckets, growing; the last, infinity, is understood.
  explicit Histogram(std::vector<double> bounds);

  void observe(double value);
  // Its lines of the text format; `labels` without braces, not empty.
  void print(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<uint64_t> counts_;  // of each bucket alone
  double sum_ = 0;
};

}  // namespace ll
