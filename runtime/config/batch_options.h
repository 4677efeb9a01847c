#pragma once
#include <cstdint>
#include <string>

#include "runtime/config/line_range.h"

namespace ll {

enum class JobType { kBatch, kServe, kBench };

// The section `job` of the configuration: what is to be done, and a batch's files.
struct BatchOptions {
  JobType type = JobType::kBatch;
  std::string input, output;  // "-": standard input or output
  bool overwrite = false;
  // What becomes of answers that an earlier run left: gone on with if they are the same job's; of
  // another model, dtype or seed, too; begun anew.
  enum class Resume { kAuto, kForce, kRestart };
  Resume resume = Resume::kAuto;
  bool retry_errors = false;
  // In which requests are asked: see asking_order().
  enum class Order { kPrefix, kArrival, kLongest };
  Order order = Order::kPrefix;
  // In which answers are written.
  enum class OutputOrder { kAsFinished, kInput };
  OutputOrder output_order = OutputOrder::kAsFinished;
  std::string error_file;  // empty: errors stand among the answers
  LinePart part;
  bool record_costs = false;  // in each answer's usage
  int64_t stop_after = 0;     // seconds; 0: never
  int64_t grace = 20;         // seconds that a stop may take
  int64_t max_line_bytes = 64 << 20;

  bool operator==(const BatchOptions&) const = default;
};

}  // namespace ll
