#pragma once
// A backend: a device's memory, its ops, and what it can do.
#include <memory>
#include <string>
#include <vector>

#include "kernels/device_api.h"
#include "kernels/fused_decode.h"
#include "kernels/linear_tuning.h"
#include "kernels/ops.h"

namespace ll {

enum class BackendKind : uint8_t { kCpu, kCuda };

struct Backend {
  BackendKind kind;
  std::string device_name;  // "NVIDIA H200", "CPU, 2 threads, avx512_bf16"
  std::string device_id;    // of this GPU in the world; "": ranks may share it
  std::string
      kernel_family;      // "sm80", "sm90": which of the GPU's kernels serve it; "": there is one
  bool is_slice = false;  // a part of a GPU: a MIG slice, a vGPU
  const DeviceApi& device;
  const Ops& ops;
  const GraphApi* graphs = nullptr;              // null: launch every op
  const FusedDecodeApi* fused_decode = nullptr;  // null: decode by ops
  // Whether a step by ops may be faster than by fused_decode: that depends on the GPU.
  bool measures_fused_decode = false;
  int fixed_page_size = 0;                      // KV page size the kernels are built for; 0: any
  int max_sequences = 0;                        // decode rows, and chunks, of a step; 0: any
  const LinearTuning* linear_tuning = nullptr;  // null: each product has one way
  // Whether norms of up to kMostDeferredRows rows are faster done by the products around them
  // (LinearArgs::x_squares and Ending::add_rms_norm).
  bool defers_norms = false;
  // Whether attention reads the prefixes of BatchView::prefix_groups once.
  bool groups_prefixes = false;
};

// Opens the device of this process; on CUDA the GPU `local_rank`, on the CPU `num_threads` threads
// (0: keep OpenMP's). Throws Error when the build or the machine lacks it. Call once in a process.
Backend open_backend(BackendKind kind, int local_rank, int num_threads);

// Whether this build has CUDA and the machine a GPU.
bool has_cuda();

// A line for each GPU that this process sees: what it is, and which kernels serve it. None where
// the build or the machine has no CUDA.
std::vector<std::string> describe_gpus();

}  // namespace ll
