#pragma once
// Kernels come in families by the instructions they are made of: the folders sm90 have one.
// Everything else runs on any GPU from compute capability 8.0 on. A GPU is served by one family.
#include <cstdint>
#include <optional>
#include <string>

namespace ll::cuda {

enum class KernelFamily : uint8_t { kAny, kSm90 };

// The family that serves GPUs of this compute capability, if there is one.
std::optional<KernelFamily> family_for(int major, int minor);

// Which GPUs are served, for a message.
std::string served_gpus();

}  // namespace ll::cuda
