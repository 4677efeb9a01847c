#include "kernels/cuda/attention/sm90/attention_maps.h"

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/ptx/tensor_map.h"

namespace ll::cuda {

CUtensorMap kv_map(TensorView pool) {
  auto dim = static_cast<uint64_t>(pool.dim(3));
  auto rows = static_cast<uint64_t>(pool.dim(0) * pool.dim(1) * pool.dim(2));
  require(rows <= INT32_MAX, "attention: a KV pool of more than 2^31 positions times heads");
  return tensor_map(
      {.data = pool.data, .dims = {dim, rows}, .strides = {dim}, .box = {64, kPagePositions}});
}

CUtensorMap query_map(const AttentionArgs& a, int heads, int tokens) {
  auto dim = static_cast<uint64_t>(a.kv.k.dim(3)), width = static_cast<uint64_t>(a.qkv.dim(1));
  auto rows = static_cast<uint64_t>(a.batch.num_tokens);
  return tensor_map({.data = a.qkv.data,
                     .dims = {dim, width / dim, rows},
                     .strides = {dim, width},
                     .box = {64, static_cast<uint32_t>(heads), static_cast<uint32_t>(tokens)}});
}

}  // namespace ll::cuda
