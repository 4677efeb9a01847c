#include <omp.h>

#include "kernels/backend.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/simd/simd.h"
#include "kernels/cuda/cuda_backend.h"

namespace ll {
namespace cpu {

const Ops& cpu_ops() {
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
                       .linear_tuning = nullptr,
                       .defers_norms = false,
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

Backend open(int num_threads) {
  if (num_threads > 0) omp_set_num_threads(num_threads);
  return {BackendKind::kCpu,
          fmt::format("CPU, {} threads, {}", omp_get_max_threads(), simd().name),
          cpu_device(),
          cpu_ops(),
          nullptr,
          nullptr,
          0};
}

}  // namespace cpu

Backend open_backend(BackendKind kind, int local_rank, int num_threads) {
  return kind == BackendKind::kCpu ? cpu::open(num_threads) : cuda::open(local_rank);
}

}  // namespace ll
