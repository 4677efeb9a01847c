#pragma once
// Register budgets: a warpgroup hands registers back, or takes some that another gave (all its
// warps must call); 9.0a.
#include <cuda_runtime.h>

namespace ll::cuda {

template <int kRegisters>
__device__ inline void shrink_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void grow_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

}  // namespace ll::cuda
