#include "kernels/cuda/device/kernel_family.h"

namespace ll::cuda {
namespace {

struct Served {
  KernelFamily family;
  int major;
  const char* gpus;
};
constexpr Served kServed[] = {{KernelFamily::kSm90, 9, "9.0 (Hopper)"}};

}  // namespace

std::optional<KernelFamily> family_for(int major, int /*minor*/) {
  for (const Served& s : kServed)
    if (s.major == major) return s.family;
  return std::nullopt;
}

std::string served_gpus() {
  std::string all;
  for (const Served& s : kServed) all += (all.empty() ? "" : ", ") + std::string(s.gpus);
  return all;
}

}  // namespace ll::cuda
