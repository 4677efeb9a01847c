#include "kernels/cuda/attention/sm80/attention_sm80.h"

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

// An SM has 1 KB more than a block may have.
void prepare_all() { sm80::prepare({static_cast<size_t>(most_shared_bytes()) + 1024}); }

bool takes(const AttentionShape& s) {
  return (s.head_dim == 64 || s.head_dim == 128) && s.num_heads / s.num_kv_heads <= kMaxGroup;
}

void begin_step(Stream stream, const BatchView& batch, const AttentionShape& attention) {
  launch_attention_plan(
      stream, batch, attention,
      {sm80::decode_cut(attention.head_dim), sm80::prefill_cut(attention.head_dim)});
}

}  // namespace

namespace sm80 {

void prepare(const SharedMemory& memory) {
  prepare_decode(memory);
  prepare_prefill(memory);
}

void allow_blocks(const void* kernel, size_t shared_bytes) {
  allow_shared(kernel, shared_bytes);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                             cudaSharedmemCarveoutMaxShared));
}

}  // namespace sm80

const AttentionKernels& sm80_attention() {
  static const AttentionKernels kernels{.name = "sm80",
                                        .family = KernelFamily::kSm80,
                                        .max_sequences = kMaxSequences,
                                        .prepare = prepare_all,
                                        .takes = takes,
                                        .begin_step = begin_step,
                                        .decode = sm80::decode,
                                        .prefill = sm80::prefill};
  return kernels;
}

}  // namespace ll::cuda
