#pragma once
// Kernels come in families by the instructions they are made of: the folders sm80 and sm90 have one
// each. Everything else runs on any GPU from compute capability 8.0 on. A GPU is served by one
// family. Knows no CUDA, so that builds without it test the choice.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ll::cuda {

enum class KernelFamily : uint8_t { kAny, kSm80, kSm90 };

struct ComputeCapability {
  int major, minor;
  std::string str() const;  // "8.6"
};

// "any", "sm80", "sm90".
const char* name_of(KernelFamily family);

// Whether the family's code runs on GPUs of this compute capability: sm80's on any from 8.0 on
// (newer ones than 8.x compile its PTX when they load it), sm90's on 9.x alone.
bool runs_on(KernelFamily family, ComputeCapability gpu);

// The families this build has, the fastest first (LITELANG_CUDA_ARCHS).
std::span<const KernelFamily> built_families();

// The first of `built` that runs on the GPU; nothing if none does.
std::optional<KernelFamily> family_for(ComputeCapability gpu,
                                       std::span<const KernelFamily> built = built_families());

// What GPUs need to be served, for a message: "compute capability 8.0 (Ampere) or later".
std::string needed_gpus(std::span<const KernelFamily> built = built_families());

// The same, unless `asked` (LITELANG_CUDA_FAMILY; "": not set) names one. Throws Error, with the
// GPU's name and what it lacks, where none serves it; UsageError for an unknown name, or a family
// that the build lacks or the GPU cannot run.
KernelFamily choose_family(std::string_view asked, const std::string& gpu_name,
                           ComputeCapability gpu,
                           std::span<const KernelFamily> built = built_families());

}  // namespace ll::cuda
