#pragma once
#include <cstdint>
#include <string>

namespace ll {

enum class JobType { kBatch, kBench };

// The section `job` of the configuration: what is to be done, and a batch's files.
struct BatchOptions {
  JobType type = JobType::kBatch;
  std::string input, output;  // "-": standard input or output
  bool overwrite = false;
  int64_t max_line_bytes = 64 << 20;

  bool operator==(const BatchOptions&) const = default;
};

}  // namespace ll
