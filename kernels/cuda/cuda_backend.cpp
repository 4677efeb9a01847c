#include "kernels/cuda/cuda_backend.h"

#include <cuda_runtime_api.h>

#include "kernels/cuda/attention/attention_plan.cuh"
#include "kernels/cuda/decode_step/fused_decode.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/linear/linear_tuning.h"

namespace ll {

bool has_cuda() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

namespace cuda {
namespace {

const Ops& cuda_ops() {
  static const Ops ops{.begin_step = begin_step,
                       .packed_bytes = packed_bytes,
                       .pack_weight = pack_weight,
                       .unpack_weight = unpack_weight,
                       .embed = embed,
                       .add_rms_norm = add_rms_norm,
                       .linear = linear,
                       .rope_and_store_kv = rope_and_store_kv,
                       .attention = attention,
                       .finish_linear = finish_linear,
                       .pack_attention = pack_attention,
                       .merge_attention = merge_attention,
                       .add = add,
                       .copy_columns = copy_columns,
                       .gather_rows = gather_rows,
                       .update_page_table = update_page_table,
                       .copy_pages = copy_pages,
                       .fill_random = fill_random,
                       .linear_buckets = linear_buckets,
                       .linear_tuning = &linear_tuning(),
                       .defers_norms = true,
                       .sampling = {.edit_logits = edit_logits,
                                    .apply_penalties = apply_penalties,
                                    .reset_counts = reset_counts,
                                    .row_max = row_max,
                                    .begin_selection = begin_selection,
                                    .histogram = histogram,
                                    .narrow = narrow,
                                    .draw = draw,
                                    .choose = choose,
                                    .log_sum_exp = log_sum_exp,
                                    .target_logits = target_logits,
                                    .top_logits = top_logits}};
  return ops;
}

}  // namespace

Backend open(int local_rank) {
  open_device(local_rank);
  int gpu = 0;
  check(cudaGetDevice(&gpu));
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, gpu));
  return {BackendKind::kCuda, properties.name,     cuda_device(),  cuda_ops(),
          &cuda_graphs(),     &fused_decode_api(), kPagePositions, kMaxSequences};
}

}  // namespace cuda
}  // namespace ll
