#pragma once
#include <string>
#include <string_view>

#include "parallel/mpi/mpi_group.h"

namespace ll {

// Throws Error (usage) on all ranks where one has another `mine` than rank 0: "rank 3 on node7 has
// WHAT ..., rank 0 on node1 has ...; ADVICE". Collective over `world`.
void check_agreement(const MpiGroup& world, std::string_view what, const std::string& mine,
                     std::string_view advice);

}  // namespace ll
