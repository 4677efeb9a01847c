#pragma once
#include <functional>
#include <string>

#include "parallel/process_grid.h"

namespace ll {

// Lets the ranks of each communicator of the grid add up their numbers. Throws Error where the sum
// is wrong. Before each it calls `begin` with what goes on from there, for a watchdog: a
// communicator that hangs is known by name. Collective over the grid's ranks.
void try_communicators(const ProcessGrid& grid, const Backend& backend, Stream stream,
                       const std::function<void(std::string phase)>& begin);

}  // namespace ll
