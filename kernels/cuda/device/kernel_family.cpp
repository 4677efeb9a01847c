#include "kernels/cuda/device/kernel_family.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/check.h"

namespace ll::cuda {
namespace {

struct Family {
  KernelFamily family;
  const char* name;
  int first_major, last_major;
  const char* gpus;
  bool is_built;
};
constexpr int kAnyLater = std::numeric_limits<int>::max();
// The fastest first.
constexpr Family kFamilies[] = {
    {KernelFamily::kSm90, "sm90", 9, 9, "9.0 (Hopper)", LITELANG_HAS_SM90 != 0},
    {KernelFamily::kSm80, "sm80", 8, kAnyLater, "8.0 (Ampere) or later", LITELANG_HAS_SM80 != 0}};

const Family* find(KernelFamily family) {
  auto found = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                            [&](const Family& f) { return f.family == family; });
  return found == std::end(kFamilies) ? nullptr : found;
}

template <class Families, class TextOf>
std::string joined(const Families& families, TextOf&& text_of) {
  std::string all;
  for (const auto& f : families) all += (all.empty() ? "" : ", ") + std::string(text_of(f));
  return all.empty() ? "none" : all;
}

}  // namespace

std::string ComputeCapability::str() const { return fmt::format("{}.{}", major, minor); }

const char* name_of(KernelFamily family) {
  const Family* f = find(family);
  return f ? f->name : "any";
}

bool runs_on(KernelFamily family, ComputeCapability gpu) {
  const Family* f = find(family);
  return f ? gpu.major >= f->first_major && gpu.major <= f->last_major
           : gpu.major >= find(KernelFamily::kSm80)->first_major;
}

std::span<const KernelFamily> built_families() {
  static const std::vector<KernelFamily> built = [] {
    std::vector<KernelFamily> families;
    for (const Family& f : kFamilies)
      if (f.is_built) families.push_back(f.family);
    return families;
  }();
  return built;
}

std::optional<KernelFamily> family_for(ComputeCapability gpu, std::span<const KernelFamily> built) {
  for (KernelFamily family : built)
    if (runs_on(family, gpu)) return family;
  return std::nullopt;
}

std::string needed_gpus(std::span<const KernelFamily> built) {
  if (built.empty()) return "LITELANG_CUDA=ON when it is built";
  return fmt::format("compute capability {}", find(built.back())->gpus);
}

KernelFamily choose_family(std::string_view asked, const std::string& gpu_name,
                           ComputeCapability gpu, std::span<const KernelFamily> built) {
  std::optional<KernelFamily> best = family_for(gpu, built);
  if (!best)
    fail("{}: compute capability {}, but the kernels of this build need {}", gpu_name, gpu.str(),
         needed_gpus(built));
  if (asked.empty()) return *best;
  auto names = joined(kFamilies, [](const Family& f) { return f.name; });
  for (const Family& f : kFamilies) {
    if (f.name != asked) continue;
    if (std::find(built.begin(), built.end(), f.family) == built.end())
      fail_usage("LITELANG_CUDA_FAMILY={}: this build has {}; build with LITELANG_CUDA_ARCHS",
                 asked, joined(built, [](KernelFamily b) { return name_of(b); }));
    if (!runs_on(f.family, gpu))
      fail_usage("LITELANG_CUDA_FAMILY={}: {} has compute capability {}, these kernels need {}",
                 asked, gpu_name, gpu.str(), f.gpus);
    return f.family;
  }
  fail_usage("LITELANG_CUDA_FAMILY={}: must be one of {}, or not set", asked, names);
}

}  // namespace ll::cuda
