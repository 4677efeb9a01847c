#pragma once
// My place among the ranks, and the communicators of the grid's dimensions. Knows no tensors.
#include <memory>

#include "kernels/backend.h"
#include "parallel/communicator.h"
#include "parallel/grid_shape.h"
#include "parallel/mpi_group.h"

namespace ll {

class ProcessGrid {
 public:
  // Collective over `world`, whose size must be shape.num_ranks(); throws Error (usage) otherwise.
  ProcessGrid(const Backend& backend, const MpiGroup& world, const GridShape& shape);

  const GridShape& shape() const { return shape_; }
  const GridPlace& place() const { return place_; }

  // Ranks of my replica, in rank order: its control plane, and the vocabulary's communicator (the
  // vocabulary is split over all).
  const MpiGroup& replica() const { return replica_; }
  Communicator& replica_comm() const { return *replica_comm_; }
  // Fixed part of the hidden dimension, all columns: the all-reduces of o_proj and down_proj.
  Communicator& y_comm() const { return *y_comm_; }

 private:
  GridShape shape_;
  GridPlace place_;
  MpiGroup replica_;
  std::shared_ptr<Communicator> replica_comm_, y_comm_;  // one and the same when x = 1
};

}  // namespace ll
