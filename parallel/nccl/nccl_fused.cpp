#include "parallel/nccl/nccl_fused.h"

#include "parallel/nccl/nccl_rooms.h"

namespace ll {

std::vector<std::unique_ptr<NcclFused>> NcclFused::create_all(void* nccl_comm,
                                                              const MpiGroup& group) {
  if (!has_device_api(group)) return {};
  std::vector<std::unique_ptr<NcclFused>> kernels;
  for (auto make : {make_fused_words, make_fused_push})
    if (auto fused = make(nccl_comm, group)) kernels.push_back(std::move(fused));
  return kernels;
}

}  // namespace ll
