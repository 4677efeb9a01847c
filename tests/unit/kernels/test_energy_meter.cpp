#include "kernels/energy_meter.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("energy: what the library says, in joules") {
  auto meter = EnergyMeter::open("GPU-1", LITELANG_FAKE_NVML);
  REQUIRE(meter);
  double first = meter->joules();
  CHECK(meter->joules() == first + 2);
}

TEST_CASE("energy: is not measured without library, GPU or counter") {
  CHECK_FALSE(EnergyMeter::open("GPU-1", "libno-such-library.so.1"));
  CHECK_FALSE(EnergyMeter::open("GPU-2", LITELANG_FAKE_NVML));
  CHECK_FALSE(EnergyMeter::open("", LITELANG_FAKE_NVML));
  CHECK_FALSE(EnergyMeter::open("GPU-1", "libm.so.6"));
}
