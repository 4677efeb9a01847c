#pragma once
// The rows of a step, and which of them this rank computes outside attention: in gathered mode
// those of its share, else all.
#include "kernels/ops.h"

namespace ll {

struct StepRows {
  BatchView batch;
  bool gathered = false;
  int64_t all = 0;
  int64_t share = 0;  // of each of the ranks whose columns are merged; the last may have fewer
  int64_t first = 0;  // of this rank's
  int64_t mine = 0;
};

}  // namespace ll
