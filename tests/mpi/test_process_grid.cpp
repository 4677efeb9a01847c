#include "parallel/process_grid.h"

#include <doctest/doctest.h>

#include "tests/support/device.h"
#include "tests/support/errors.h"
#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;

namespace {

// Who is in a communicator, by a bit for each world rank.
int64_t members_of(Communicator& comm) {
  Tensor x = upload(std::vector<int64_t>{int64_t{1} << mpi().world().rank()}, {1}, DType::i64);
  comm.all_reduce_sum(stream(), x);
  return download<int64_t>(x.view().data, 1)[0];
}

// The ranks of my replica whose place satisfies `is_member`.
template <class IsMember>
int64_t members_wanted(const GridShape& shape, const IsMember& is_member) {
  GridPlace mine = place_of(shape, mpi().world().rank());
  int64_t members = 0;
  for (int rank = 0; rank < shape.num_ranks(); ++rank) {
    GridPlace p = place_of(shape, rank);
    if (p.d == mine.d && is_member(p, mine)) members |= int64_t{1} << rank;
  }
  return members;
}

void check_communicators(const GridShape& shape) {
  CAPTURE(shape.str());
  ProcessGrid grid(backend(), mpi().world(), shape);
  GridPlace place = place_of(shape, mpi().world().rank());
  int c = shape.context(), z = shape.z;
  CHECK(grid.shape() == shape);
  CHECK(grid.place().d == place.d);
  CHECK(grid.place().j == place.j);
  CHECK(grid.place().i == place.i);
  CHECK(grid.replica().size() == shape.replica_size());
  CHECK(grid.replica().rank() == place.j * shape.x + place.i);
  auto check = [&](Communicator& comm, int size, int rank, const auto& is_member) {
    CHECK(comm.size() == size);
    CHECK(comm.rank() == rank);
    CHECK(members_of(comm) == members_wanted(shape, is_member));
  };
  using P = const GridPlace&;
  check(grid.replica_comm(), shape.replica_size(), grid.replica().rank(),
        [](P, P) { return true; });
  check(grid.x_comm(), shape.x, place.i, [](P a, P b) { return a.j == b.j; });
  check(grid.y_comm(), shape.columns(), place.j, [](P a, P b) { return a.i == b.i; });
  check(grid.kv_comm(), shape.kv_parts(), place.j % c * shape.x + place.i,
        [&](P a, P b) { return a.j / c == b.j / c; });
  auto merges = [&](P a, P b) { return a.i == b.i && a.j / z == b.j / z; };
  check(grid.z_comm(), z, place.j % z, merges);
  check(grid.weights_comm(), z, place.j % z, merges);
  check(grid.gathered_y_comm(), shape.y, place.j / z,
        [&](P a, P b) { return a.i == b.i && a.j % z == b.j % z; });
}

}  // namespace

TEST_CASE("grid: the communicators of every shape of this many ranks") {
  int size = mpi().world().size();
  for (int dp = 1; dp <= size; ++dp)
    for (int x = 1; x <= size; ++x)
      for (int z = 1; z <= size; ++z)
        for (int heads = 1; heads <= size; ++heads) {
          if (size % (dp * x * z) != 0) continue;
          GridShape shape{.dp = dp, .x = x, .y = size / (dp * x * z), .z = z, .heads = heads};
          if (shape.columns() % heads == 0) check_communicators(shape);
        }
}

TEST_CASE("grid: a shape of another size is refused on all ranks") {
  int size = mpi().world().size();
  std::string message =
      error_of([&] { ProcessGrid(backend(), mpi().world(), GridShape{.y = size + 1}); });
  CHECK(message == fmt::format("grid: dp 1 x 1 y {0} z 1 needs {0} ranks, but mpirun started {1}; "
                               "change grid, or use -np {0}",
                               size + 1, size));
}

TEST_CASE("grid: of one process in a world of several") {
  ProcessGrid grid(backend(), MpiGroup(), GridShape{});
  CHECK(grid.replica().size() == 1);
  CHECK(members_of(grid.replica_comm()) == int64_t{1} << mpi().world().rank());
  CHECK(members_of(grid.y_comm()) == int64_t{1} << mpi().world().rank());
}
