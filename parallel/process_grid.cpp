#include "parallel/process_grid.h"

#include "parallel/make_communicator.h"

namespace ll {

ProcessGrid::ProcessGrid(const Backend& backend, const MpiGroup& world, const GridShape& shape)
    : ProcessGrid(backend, world, shape,
                  [](const Backend& b, const MpiGroup& g) -> std::shared_ptr<Communicator> {
                    return make_communicator(b, g);
                  }) {}

ProcessGrid::ProcessGrid(const Backend& backend, const MpiGroup& world, const GridShape& shape,
                         const MakeCommunicator& make)
    : shape_(shape), place_(place_of(shape, world.rank())) {
  if (shape.num_ranks() != world.size())
    fail_usage("grid: {} needs {} ranks, but mpirun started {}; change grid, or use -np {}",
               shape.str(), shape.num_ranks(), world.size(), shape.num_ranks());
  replica_ = world.split(place_.d, world.rank());
  leaders_ = world.split(replica_.rank() == 0 ? 0 : 1, world.rank());
  auto note = [&](const char* name, const MpiGroup& group) {
    std::shared_ptr<Communicator> comm = make(backend, group);
    if (group.size() > 1)
      communicators_.push_back({name, comm.get(), group.all_gather(world.rank())});
    return comm;
  };
  replica_comm_ = note("replica", replica_);
  auto [d, j, i] = place_;
  // Members that share `color`, in the replica's order.
  auto sub = [&, rank = replica_.rank()](const char* name, int size,
                                         int color) -> std::shared_ptr<Communicator> {
    if (size == 1) return make_self_communicator(backend);
    if (size == shape.replica_size()) return replica_comm_;
    return note(name, replica_.split(color, rank));
  };
  x_comm_ = sub("x", shape.x, j);
  y_comm_ = sub("y", shape.columns(), i);
  kv_comm_ = shape.context() == 1 ? x_comm_ : sub("kv", shape.kv_parts(), j / shape.context());
  z_comm_ = sub("z", shape.z, j / shape.z * shape.x + i);
  weights_comm_ =
      shape.z == 1 ? z_comm_ : note("weights", replica_.split(j / shape.z * shape.x + i, j));
  gathered_y_comm_ = shape.z == 1 ? y_comm_ : sub("gathered y", shape.y, j % shape.z * shape.x + i);
}

}  // namespace ll
