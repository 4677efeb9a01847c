#pragma once
// How many sequences run at the same time where nobody says so.
#include "runtime/planning/memory_budget.h"

namespace ll {

// As many as a large job gains by, where memory is for it: 1,024 or 512 of them with a thousand
// tokens each, and their logits and counts in a small part of the rest; else 256. `memory` is a
// rank's; `replica_ranks` share a model.
int default_num_seqs(const ModelConfig& config, DType dtype, const DeviceMemory& memory,
                     int replica_ranks);

}  // namespace ll
