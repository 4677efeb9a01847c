#pragma once
// Whether each rank hears each other, before anything is built on it: a collective that hangs does
// not say between whom.
#include <chrono>
#include <vector>

#include "parallel/mpi/mpi_group.h"

namespace ll {

// The members that this one has not heard within `limit`, in rank order: all have sent a byte to
// all. Collective. What was not received stays under way: where there is one, the job must end.
std::vector<int> silent_members(const MpiGroup& group, std::chrono::seconds limit);

}  // namespace ll
