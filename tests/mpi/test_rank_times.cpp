// What rank 0 learns of the others' steps.
#include <chrono>
#include <thread>

#include "runtime/engine/step_consensus.h"
#include "tests/support/engine_oracle.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("rank times: the consensus brings the times of all ranks") {
  const MpiGroup& world = mpi().world();
  StepConsensus consensus(world, fmt::format("rank {}", world.rank()));
  CHECK(consensus.times().ranks.size() == static_cast<size_t>(world.size()));
  constexpr int kSteps = 40;
  // The last rank begins last, each rank a second after the one before it.
  auto own = static_cast<float>(world.size() - world.rank());
  for (int step = 1; step <= kSteps; ++step) {
    consensus.launched(step, 100 + step);
    consensus.drew(std::vector<int32_t>{step}, {.seconds = own, .collective_seconds = own / 2});
  }
  consensus.flush();
  const GroupTimes& times = consensus.times();
  CHECK(times.steps == kSteps);
  CHECK(times.skew_seconds == kSteps * (world.size() - 1));
  for (int r = 0; r < world.size(); ++r) {
    const RankTimes& rank = times.ranks.at(static_cast<size_t>(r));
    CHECK(rank.steps == kSteps);
    CHECK(rank.seconds == kSteps * (world.size() - r));
    CHECK(rank.collective_seconds == kSteps * (world.size() - r) / 2.0);
    CHECK(rank.wait_seconds == kSteps * (world.size() - 1 - r));
  }
}

namespace {

// The times of a short run; `is_timed`: its ranks time their steps. Rank 0's.
GroupTimes run(bool is_timed) {
  constexpr std::chrono::milliseconds kLate(2);
  EngineSetup setup;
  RunnerRig rig(setup, mpi().world());
  if (is_timed) rig.runner.time_steps();
  Watchdog watchdog(std::chrono::seconds(120), "test");
  if (mpi().world().rank() > 0)
    return run_worker(rig.runner, rig.grid.replica(), watchdog), GroupTimes();
  Engine engine(
      {.max_num_seqs = 8, .max_num_batched_tokens = 64, .num_pages = 200, .page_span = 16},
      /*async=*/true, rig.runner, rig.grid.replica(), watchdog);
  engine.add(greedy_request(1, make_prompt(20, 1), 30));
  while (engine.has_work()) {
    std::this_thread::sleep_for(kLate);
    engine.step();
  }
  return engine.times();
}

}  // namespace

TEST_CASE("rank times: an engine knows those of its workers") {
  GroupTimes times = run(true);
  if (!leads()) return;
  auto size = static_cast<size_t>(mpi().world().size());
  REQUIRE(times.ranks.size() == size);
  CHECK(times.steps >= 30);
  CHECK(times.skew_seconds >= 0);
  for (const RankTimes& rank : times.ranks) {
    CHECK(rank.steps == times.steps);
    CHECK(rank.seconds > 0);
    CHECK(rank.collective_seconds <= rank.seconds);
    CHECK(rank.wait_seconds <= times.skew_seconds);
    // On the host they are timed.
    if (backend().kind == BackendKind::kCpu) CHECK((rank.collective_seconds > 0) == (size > 1));
  }
}
