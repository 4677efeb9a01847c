#pragma once
// My place among the ranks, and the communicators of the grid's dimensions. Knows no tensors.
#include <functional>
#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "parallel/communicator.h"
#include "parallel/grid_shape.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

class ProcessGrid {
 public:
  using MakeCommunicator =
      std::function<std::shared_ptr<Communicator>(const Backend&, const MpiGroup&)>;

  // Collective over `world`, whose size must be shape.num_ranks(); throws Error (usage) otherwise.
  ProcessGrid(const Backend& backend, const MpiGroup& world, const GridShape& shape);
  // With other communicators than the backend's own, for tests.
  ProcessGrid(const Backend& backend, const MpiGroup& world, const GridShape& shape,
              const MakeCommunicator& make);

  const GridShape& shape() const { return shape_; }
  const GridPlace& place() const { return place_; }

  // Ranks of my replica, in rank order: its control plane, and the vocabulary's communicator (the
  // vocabulary is split over all).
  const MpiGroup& replica() const { return replica_; }
  Communicator& replica_comm() const { return *replica_comm_; }
  // First ranks of the replicas, on each of them: who share rank 0's queue.
  const MpiGroup& leaders() const { return leaders_; }
  // Fixed column, all parts of the hidden dimension: sums of what columns make of their parts.
  Communicator& x_comm() const { return *x_comm_; }
  // Fixed part of the hidden dimension, all columns: the all-reduces of o_proj and down_proj.
  Communicator& y_comm() const { return *y_comm_; }
  // The x * c ranks that share the KV positions of a head group; member m * x + i.
  Communicator& kv_comm() const { return *kv_comm_; }
  // In gathered mode: the z columns that are merged (for weights a communicator of their own, as
  // they move on another stream), and the y ranks with the same tokens.
  Communicator& z_comm() const { return *z_comm_; }
  Communicator& weights_comm() const { return *weights_comm_; }
  Communicator& gathered_y_comm() const { return *gathered_y_comm_; }

  // Each communicator of more than this rank alone, once; in the same order on all ranks.
  struct Members {
    const char* name;  // the dimension of the grid: "x", "replica"
    Communicator* comm;
    std::vector<int64_t> ranks;  // of the world
  };
  const std::vector<Members>& communicators() const { return communicators_; }

 private:
  GridShape shape_;
  GridPlace place_;
  MpiGroup replica_, leaders_;
  // Those with the same members are one and the same.
  std::shared_ptr<Communicator> replica_comm_, x_comm_, y_comm_, kv_comm_, z_comm_, weights_comm_,
      gathered_y_comm_;
  std::vector<Members> communicators_;
};

}  // namespace ll
