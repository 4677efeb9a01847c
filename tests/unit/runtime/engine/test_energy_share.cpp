#include "runtime/engine/energy_share.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

using namespace ll;

TEST_CASE(
    "energy share: steps have the power of the time, those before it is known with the next") {
  auto meter = EnergyMeter::open("GPU-1", LITELANG_FAKE_NVML);
  REQUIRE(meter);
  auto begin = std::chrono::steady_clock::now();
  EnergyShare share(*meter);
  CHECK(share.of_step(3) == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  double joules = share.of_step(1);  // of four seconds
  std::chrono::duration<double> least(0.1), most(std::chrono::steady_clock::now() - begin);
  CHECK(joules <= 4 * 2 / least.count());
  CHECK(joules >= 4 * 2 / most.count());
  CHECK(share.of_step(1) == doctest::Approx(joules / 4));
}
