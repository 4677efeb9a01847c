#include "kernels/cuda/linear_tile_map.h"

#include <cuda_runtime_api.h>
#include <cudaTypedefs.h>

#include "kernels/cuda/cuda_check.h"

namespace ll::cuda {
namespace {

// From the driver that is loaded anyway, so that the program needs no libcuda to link.
PFN_cuTensorMapEncodeTiled_v12000 encode_function() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found));
  require(found == cudaDriverEntryPointSuccess && function != nullptr, "the driver has no cuTensorMapEncodeTiled");
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

}  // namespace

CUtensorMap tile_map(const void* data, int64_t rows, int64_t cols, int box_rows) {
  static const PFN_cuTensorMapEncodeTiled_v12000 encode = encode_function();
  const cuuint64_t dims[] = {static_cast<cuuint64_t>(cols), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(cols) * 2};
  const cuuint32_t box[] = {64, static_cast<cuuint32_t>(box_rows)}, element_strides[] = {1, 1};
  CUtensorMap map;
  CUresult result = encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<void*>(data), dims, strides, box, element_strides,
                           CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                           CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(result == CUDA_SUCCESS, "cuTensorMapEncodeTiled refused a matrix");
  return map;
}

}  // namespace ll::cuda
