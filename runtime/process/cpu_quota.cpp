#include "runtime/process/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace ll {
namespace {

std::string word_of(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

std::optional<double> ratio(const std::string& quota, const std::string& period) {
  double time = std::strtod(quota.c_str(), nullptr), of = std::strtod(period.c_str(), nullptr);
  if (time <= 0 || of <= 0) return std::nullopt;  // "max", -1, and files that are not there
  return time / of;
}

// "200000 100000", "max 100000"
std::optional<double> unified_quota(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota, period;
  file >> quota >> period;
  return ratio(quota, period);
}

std::optional<double> classic_quota(const std::string& folder) {
  return ratio(word_of(folder + "/cpu.cfs_quota_us"), word_of(folder + "/cpu.cfs_period_us"));
}

bool has_cpu(const std::string& controllers) {
  std::stringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');)
    if (name == "cpu") return true;
  return false;
}

}  // namespace

std::optional<double> cpu_quota(const std::string& root) {
  std::optional<double> least;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // number:controllers:/path
    std::stringstream fields(line);
    std::string number, controllers, path;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    bool is_unified = number == "0" && controllers.empty();
    if (!is_unified && !has_cpu(controllers)) continue;
    std::string mount = root + "/sys/fs/cgroup" + (is_unified ? "" : "/" + controllers);
    // The group's own limit, and that of every group above it.
    for (;; path.resize(path.rfind('/'))) {
      auto limit = is_unified ? unified_quota(mount + path) : classic_quota(mount + path);
      if (limit) least = std::min(*limit, least.value_or(*limit));
      if (path.find('/') == std::string::npos) break;
    }
  }
  return least;
}

}  // namespace ll
