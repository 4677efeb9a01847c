#include "runtime/rank/own_device.h"

#include <map>

#include "base/check.h"
#include "base/hash/hash.h"

namespace ll {
namespace {

int64_t number_of(const std::string& device_id) {
  if (device_id.empty()) return 0;
  Fnv64 hash;
  for (unsigned char c : device_id) hash.add(c);
  return static_cast<int64_t>(hash.value | 1);
}

}  // namespace

std::optional<RankPair> ranks_of_one_device(std::span<const int64_t> devices) {
  std::map<int64_t, int> owners;
  for (size_t i = 0; i < devices.size(); ++i) {
    auto rank = static_cast<int>(i);
    if (devices[i] == 0) continue;
    auto [owner, is_new] = owners.try_emplace(devices[i], rank);
    if (!is_new) return RankPair{owner->second, rank};
  }
  return std::nullopt;
}

void refuse_shared_devices(const Backend& backend, const MpiGroup& world) {
  std::vector<int64_t> devices = world.all_gather(number_of(backend.device_id));
  auto shared = ranks_of_one_device(devices);
  if (!shared) return;
  std::string device = world.broadcast_text(
      fmt::format("{}, {}", backend.device_name, backend.device_id), shared->first);
  fail_usage(
      "ranks {} and {} have the same GPU ({}); start at most one rank for each GPU, and show a "
      "rank "
      "all GPUs of its host or one of its own (CUDA_VISIBLE_DEVICES)",
      shared->first, shared->second, device);
}

}  // namespace ll
