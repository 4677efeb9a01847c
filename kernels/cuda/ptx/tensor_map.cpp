#include "kernels/cuda/ptx/tensor_map.h"

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <unordered_map>

#include "kernels/cuda/device/cuda_check.h"

namespace ll::cuda {
namespace {

// From the driver that is loaded anyway, so that the program needs no libcuda to link.
PFN_cuTensorMapEncodeTiled_v12000 encode_function() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                         cudaEnableDefault, &found));
  require(found == cudaDriverEntryPointSuccess && function != nullptr,
          "the driver has no cuTensorMapEncodeTiled");
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

CUtensorMap encode(const TensorBoxes& b) {
  static const PFN_cuTensorMapEncodeTiled_v12000 encode_tiled = encode_function();
  cuuint64_t dims[4], strides[3];
  cuuint32_t box[4], element_strides[4];
  cuuint32_t rank = 0;
  for (size_t i = 0; i < 4 && b.dims[i] > 0; ++i, ++rank) {
    dims[i] = b.dims[i];
    box[i] = b.box[i];
    element_strides[i] = 1;
    if (i > 0) strides[i - 1] = b.strides[i - 1] * 2;
  }
  CUtensorMap map;
  CUresult result =
      encode_tiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, rank, const_cast<void*>(b.data), dims,
                   strides, box, element_strides, CU_TENSOR_MAP_INTERLEAVE_NONE,
                   b.is_swizzled ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
                   CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(result == CUDA_SUCCESS, "cuTensorMapEncodeTiled refused a tensor");
  return map;
}

struct Hash {
  size_t operator()(const TensorBoxes& b) const {
    auto hash = reinterpret_cast<uint64_t>(b.data);
    auto mix = [&](uint64_t x) { hash = (hash ^ x) * 0x9e3779b97f4a7c15u, hash ^= hash >> 32; };
    for (uint64_t d : b.dims) mix(d);
    for (uint64_t s : b.strides) mix(s);
    for (uint32_t x : b.box) mix(x);
    mix(b.is_swizzled);
    return hash;
  }
};

// A model needs two maps a layer and a few for each number of rows in a step; old row counts are
// forgotten now and then.
constexpr size_t kMaxKept = 4096;

}  // namespace

CUtensorMap tensor_map(const TensorBoxes& boxes) {
  thread_local std::unordered_map<TensorBoxes, CUtensorMap, Hash> kept;
  if (auto found = kept.find(boxes); found != kept.end()) return found->second;
  if (kept.size() >= kMaxKept) kept.clear();
  return kept.emplace(boxes, encode(boxes)).first->second;
}

}  // namespace ll::cuda
