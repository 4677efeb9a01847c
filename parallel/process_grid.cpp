#include "parallel/process_grid.h"

#include "parallel/mpi_communicator.h"

namespace ll {

ProcessGrid::ProcessGrid(const Backend& backend, const MpiGroup& world, const GridShape& shape)
    : shape_(shape), place_(place_of(shape, world.rank())) {
  if (shape.num_ranks() != world.size())
    fail_usage("grid: {} needs {} ranks, but mpirun started {}; change grid, or use -np {}",
               shape.str(), shape.num_ranks(), world.size(), shape.num_ranks());
  replica_ = world.split(place_.d, world.rank());
  replica_comm_ = make_communicator(backend, replica_);
  y_comm_ =
      shape.x == 1 ? replica_comm_ : make_communicator(backend, replica_.split(place_.i, place_.j));
}

}  // namespace ll
