// Memory of the job's GPUs that all of them reach.
#include <doctest/doctest.h>

#include <algorithm>

#include "parallel/nccl/nccl_communicator.h"
#include "tests/support/device.h"
#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("rooms: zero at first, and each rank stores to every other's") {
  if (backend().kind != BackendKind::kCuda) return;
  constexpr size_t kBytes = 1 << 20;
  auto comm = make_nccl_communicator(backend(), world());
  std::vector<void*> rooms = comm->make_rooms(kBytes);
  if (rooms.empty()) return;  // ranks that share a GPU, or that no link connects
  auto size = static_cast<size_t>(world().size()), rank = static_cast<size_t>(world().rank());
  REQUIRE(rooms.size() == size);
  auto own = download<int32_t>(rooms[rank], kBytes / sizeof(int32_t));
  CHECK(std::count(own.begin(), own.end(), 0) == static_cast<int64_t>(own.size()));
  world().barrier();
  auto value = static_cast<int32_t>(rank) + 1;
  for (void* room : rooms)
    backend().device.copy(stream(), static_cast<int32_t*>(room) + rank, &value, sizeof value);
  finish();
  world().barrier();
  own = download<int32_t>(rooms[rank], size);
  for (size_t r = 0; r < size; ++r) CHECK(own[r] == static_cast<int32_t>(r) + 1);
  CHECK(comm->make_rooms(64) != rooms);
}
