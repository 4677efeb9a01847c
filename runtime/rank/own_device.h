#pragma once
// Each rank needs a GPU of its own, however the launcher shows them: all of a host's to each of its
// ranks (mpirun), or one to each (srun --gpus-per-task=1, CUDA_VISIBLE_DEVICES set a rank).
#include <cstdint>
#include <optional>
#include <span>

#include "kernels/backend.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

struct RankPair {
  int first, second;
};

// The first rank whose device a rank before it has, too. `devices`: a number for each rank's, by
// rank; 0: one that may be shared.
std::optional<RankPair> ranks_of_one_device(std::span<const int64_t> devices);

// Throws UsageError on all ranks where two have the same GPU. Collective.
void refuse_shared_devices(const Backend& backend, const MpiGroup& world);

}  // namespace ll
