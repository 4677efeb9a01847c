#pragma once
#include <optional>
#include <string>

namespace ll {

// Processors whose time the control groups of this process grant it, as containers and batch
// systems set them (cgroup v2's cpu.max, v1's cpu.cfs_quota_us, of the group and those above it);
// 1.5 is one and a half. Empty: no limit. `root` is where /proc and /sys are mounted, "" for /.
std::optional<double> cpu_quota(const std::string& root = "");

}  // namespace ll
