#include "parallel/nccl/nccl_fused.h"

#include <nccl.h>

#include "parallel/nccl/nccl_check.h"

namespace ll {

std::vector<std::unique_ptr<NcclFused>> NcclFused::create_all(void* nccl_comm,
                                                              const MpiGroup& group) {
  // The device API's structures are part of the program; another version of the library may have
  // others.
  int version = 0;
  nccl_check(ncclGetVersion(&version));
  if (group.size() > 8 || group.min(version == NCCL_VERSION_CODE) == 0) return {};
  std::vector<std::unique_ptr<NcclFused>> kernels;
  for (auto make : {make_fused_words, make_fused_push})
    if (auto fused = make(nccl_comm, group)) kernels.push_back(std::move(fused));
  return kernels;
}

}  // namespace ll
