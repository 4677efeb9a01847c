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

int64_t members_wanted(const GridShape& shape, bool same_part) {
  GridPlace mine = place_of(shape, mpi().world().rank());
  int64_t members = 0;
  for (int rank = 0; rank < shape.num_ranks(); ++rank) {
    GridPlace p = place_of(shape, rank);
    if (p.d == mine.d && (!same_part || p.i == mine.i)) members |= int64_t{1} << rank;
  }
  return members;
}

}  // namespace

TEST_CASE("grid: the communicators of every shape of this many ranks") {
  int size = mpi().world().size();
  for (int dp = 1; dp <= size; ++dp)
    for (int x = 1; x <= size; ++x)
      for (int z = 1; z <= size; ++z) {
        if (size % (dp * x * z) != 0) continue;
        GridShape shape{.dp = dp, .x = x, .y = size / (dp * x * z), .z = z};
        CAPTURE(shape.str());
        ProcessGrid grid(backend(), mpi().world(), shape);
        GridPlace place = place_of(shape, mpi().world().rank());
        CHECK(grid.shape() == shape);
        CHECK(grid.place().d == place.d);
        CHECK(grid.place().j == place.j);
        CHECK(grid.place().i == place.i);
        CHECK(grid.replica().size() == shape.replica_size());
        CHECK(grid.replica().rank() == place.j * x + place.i);
        CHECK(grid.replica_comm().size() == shape.replica_size());
        CHECK(grid.y_comm().size() == shape.columns());
        CHECK(grid.y_comm().rank() == place.j);
        CHECK(members_of(grid.replica_comm()) == members_wanted(shape, false));
        CHECK(members_of(grid.y_comm()) == members_wanted(shape, true));
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
