#include "runtime/planning/machine_rates.h"

#include <doctest/doctest.h>

#include "runtime/planning/data_sheets.h"
#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("machines: every known one has all its times, and they grow with sizes") {
  CHECK(!known_machines().empty());
  for (const std::string& name : known_machines()) {
    CAPTURE(name);
    MachineRates m = known_machine(name).value();
    CHECK(m.memory_bytes > 0);
    CHECK(m.device.small_op_s > 0);
    CHECK(m.device.attention_flops_per_s > 0);
    for (double rows : {1.0, 30.0, 64.0, 300.0, 8192.0, 20000.0}) {
      double last = 0;
      for (double bytes : {1e6, 6.3e6, 50e6, 300e6, 3e9}) {
        double now = m.device.product_s(rows, bytes);
        CHECK(now > 0);
        CHECK(now >= last);
        CHECK(m.device.product_s(2 * rows, bytes) >= now);
        last = now;
      }
    }
    for (int members : {2, 3, 4, 8})
      for (double bytes : {1.0, 3e3, 1e6, 1e8}) {
        CHECK(m.links.sum_s(members, 2 * bytes) >= m.links.sum_s(members, bytes));
        CHECK(m.links.sum_s(members, bytes) <= m.links.sum_s(2 * members, bytes));
        CHECK(m.links.sum_and_norm_s(members, 1, bytes) > 0);
        CHECK(m.links.two_sums_s(members, bytes) > 0);
        CHECK(m.links.gather_s(members, bytes) > 0);
        CHECK(m.links.all_to_all_s(members, bytes) > 0);
      }
  }
}

TEST_CASE("machines: of several measured numbers of members the nearest counts") {
  auto times = [](int members, double seconds) {
    TimeTable t({{1, seconds}});
    return ExchangeTimes{members, t, t, t, t, t, t};
  };
  LinkTimes links{.by_members = {times(2, 1), times(8, 5)}};
  CHECK(links.sum_s(2, 1) == 1);
  CHECK(links.sum_s(8, 1) == 5);
  CHECK(links.sum_s(3, 1) > 1);
  CHECK(links.sum_s(3, 1) < 2);
  CHECK(links.sum_s(7, 1) < 5);
  CHECK(LinkTimes{}.sum_s(2, 1) == 0);
}

TEST_CASE("machines: a device that ranks share has for each of them a part of its rates") {
  DeviceTimes whole = known_machine("cpu")->device, half = whole.shared_by(2);
  CHECK(half.bytes_per_s == whole.bytes_per_s / 2);
  CHECK(half.product_s(1, 1e9) == doctest::Approx(2 * whole.product_s(1, 1e9)).epsilon(1e-3));
  CHECK(half.small_op_s == whole.small_op_s);
}

TEST_CASE("machines: the tables in words") {
  MachineRates m = known_machine("h200").value();
  CHECK(contains(describe(m.device), "product, 64 rows"));
  CHECK(contains(describe(m.links), "exchanges among 2:\n  all-reduce"));
}

TEST_CASE("machines: drivers' names are found, and what is computed says from what") {
  auto name = [](const char* driver) {
    auto known = known_machine(driver);
    return known ? known->name : "";
  };
  CHECK(name("NVIDIA H200") == "h200");
  CHECK(name("NVIDIA H100 80GB HBM3") == "h100");
  CHECK(name("NVIDIA A100-SXM4-80GB") == "a100");
  CHECK(name("NVIDIA A100 80GB PCIe") == "a100");
  CHECK(name("NVIDIA A100-SXM4-40GB") == "a100-40");
  CHECK(name("NVIDIA A100-PCIE-40GB") == "a100-40");
  CHECK(name("NVIDIA A10") == "a10");
  CHECK(name("NVIDIA A10G") == "a10");
  CHECK(name("NVIDIA L40S") == "l40s");
  CHECK(name("NVIDIA GeForce RTX 4090") == "rtx4090");
  CHECK(name("Tesla T4") == "");
  for (const std::string& known : known_machines()) CHECK(name(known.c_str()) == known);
  for (const char* computed : {"a100", "a100-40", "a10", "l40s", "rtx4090"})
    CHECK(contains(known_machine(computed)->computed_from, " TB/s, "));
  for (const char* measured : {"h200", "cpu"})
    CHECK(known_machine(measured)->computed_from.empty());
}

TEST_CASE("machines: a computed one has a share of its sheet, or what it can have on the way") {
  DataSheet gpu{"x", "", "", 2e12, 300e12, 100, 100 << 10, 40, false};
  CHECK(expected_read(gpu) == doctest::Approx(1.82e12));
  CHECK(expected_matrix_rate(gpu) == doctest::Approx(240e12));
  gpu.num_sms = 10;
  CHECK(expected_read(gpu) == doctest::Approx(0.768e12));
}
