#pragma once
// Whether a file is the input of a batch: what is wrong before any of it runs.
#include <functional>
#include <string>
#include <vector>

#include "runtime/server/batches/batch_object.h"

namespace ll {

struct BatchCheck {
  std::vector<BatchFault> faults;  // the first of them
  int64_t num_requests = 0;
};

// Reads the lines of a file: each a JSON object {"custom_id", "method", "url", "body"}, custom_id
// its own, url the batch's endpoint. What is in their bodies shows when they run. Ends early when
// `stops` is true. Throws Error for a file that cannot be read.
BatchCheck check_batch_file(const std::string& path, const std::string& endpoint,
                            int64_t max_line_bytes, const std::function<bool()>& stops);

}  // namespace ll
