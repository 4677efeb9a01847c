#pragma once
// Which fused all-reduce is worth its use, for how many rows: they are compared with NCCL's own,
// then timed beside it. That takes a while, so a process asks once for groups of as many ranks.
#include <functional>
#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "parallel/nccl/nccl_fused.h"

namespace ll {

// Up to `rows` rows, and above those of the entry before, kernel number `kernel` is to be used;
// kPlain: none.
struct FusedChoice {
  static constexpr int kPlain = -1;
  int64_t rows;
  int kernel;
};

// The same on all ranks; collective over the group of `kernels`. `plain` does the same by NCCL and
// the backend's op. More rows than the last entry has are left to it.
using PlainAllReduce = std::function<void(Stream, const AddRmsNormArgs&)>;
std::vector<FusedChoice> choose_fused(const Backend& backend, const MpiGroup& group,
                                      const std::vector<std::unique_ptr<NcclFused>>& kernels,
                                      const PlainAllReduce& plain);

}  // namespace ll
