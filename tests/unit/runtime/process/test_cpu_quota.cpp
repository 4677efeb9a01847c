#include "runtime/process/cpu_quota.h"

#include <doctest/doctest.h>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

// A machine's /proc and /sys as far as control groups go.
struct Machine {
  TemporaryFolder folder;

  explicit Machine(const std::string& groups) { put("/proc/self/cgroup", groups); }
  void put(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(folder.path() + path).parent_path());
    write_text(folder.path() + path, text);
  }
  std::optional<double> quota() const { return cpu_quota(folder.path()); }
};

}  // namespace

TEST_CASE("quota: none") {
  CHECK(cpu_quota("/nowhere") == std::nullopt);
  Machine bare("0::/\n");
  CHECK(bare.quota() == std::nullopt);
  Machine free("0::/job\n");
  free.put("/sys/fs/cgroup/job/cpu.max", "max 100000\n");
  CHECK(free.quota() == std::nullopt);
}

TEST_CASE("quota: the least of the group's and those above it") {
  Machine machine("0::/slurm/job/step\n");
  machine.put("/sys/fs/cgroup/slurm/cpu.max", "800000 100000\n");
  CHECK(machine.quota() == 8);
  machine.put("/sys/fs/cgroup/slurm/job/cpu.max", "150000 100000\n");
  machine.put("/sys/fs/cgroup/slurm/job/step/cpu.max", "max 100000\n");
  CHECK(machine.quota() == 1.5);
}

TEST_CASE("quota: a container's own mount, as the root it sees") {
  Machine machine("0::/\n");
  machine.put("/sys/fs/cgroup/cpu.max", "250000 50000\n");
  CHECK(machine.quota() == 5);
}

TEST_CASE("quota: control groups of version 1") {
  Machine machine("9:name=systemd:/\n4:cpuset:/a\n3:cpu,cpuacct:/docker/x\n");
  machine.put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  machine.put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  CHECK(machine.quota() == std::nullopt);
  machine.put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "200000\n");
  CHECK(machine.quota() == 2);
}
