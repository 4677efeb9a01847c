// The prefixes of groups of decode rows, each read once for its group (cascade inference; Juravsky
// et al. 2024, Hydragen): the tiles of attention_prefill.cu over the items of prefix_plan.cuh. No
// row is masked, and sums are left as they are for the decode kernel to add.
#include "kernels/cuda/attention/sm90/attention_maps.h"
#include "kernels/cuda/attention/sm90/attention_prefill_consumer.cuh"
#include "kernels/cuda/attention/sm90/attention_sm90.h"
#include "kernels/cuda/attention/sm90/prefix_plan.cuh"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

struct PrefixItems {
  static constexpr bool kMayBeNone = true, kLoadsEarly = true;

  const PrefixPlan* plan;
  const int32_t* page_table;  // [num_slots, stride]
  int64_t page_table_stride;
  void* parts;  // PrefixPart[kMaxPrefixItems]
  int pack, num_kv_heads;
  float scale_log2;

  __device__ int first() const { return plan->ctas[blockIdx.x].first; }
  __device__ bool has(int item) const { return item < plan->ctas[blockIdx.x].end; }
  __device__ int next(int item) const { return item + 1; }
  __device__ const PrefixItem* line_of(int item) const {
    return plan->items + smaller(item, kMaxPrefixItems - 1);
  }
  __device__ PrefixItem load(int item) const { return *line_of(item); }
  __device__ int num_blocks(const PrefixItem& item) const { return item.num_blocks(); }
  __device__ PrefillWork work(const PrefixItem& item, int number) const {
    return {.first_row = item.first_row,
            .num_tokens = item.num_tokens,
            .first_position = 0,
            .kv_length = item.num_pages * kPagePositions,
            .num_blocks = item.num_blocks(),
            .head = item.kv_head * pack,
            .item = number};
  }
  __device__ ItemPages pages(const PrefixItem& item, int) const {
    return {page_table + item.slot * page_table_stride + item.first_page, item.num_pages - 1,
            num_kv_heads, item.kv_head};
  }

  // The last one of an odd number of pages comes twice.
  __device__ int last_position(const PrefillWork& work, int) const { return work.kv_length - 1; }
  template <class S>
  __device__ void store(const PrefillWork& work, RowPair& rows,
                        const float (&sums)[S::kHeadDim / 2]) const {
    complete_sums(rows);
    auto& part = static_cast<PrefixPart<S::kHeadDim>*>(parts)[work.item];
    static_assert(PrefixPart<S::kHeadDim>::kLines == S::kRows);
    int first_row = thread_row();
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      int row = first_row + 8 * r;
      if (row / pack >= work.num_tokens) continue;
      if (threadIdx.x % 4 == 0)
        __stcg(&part.max_and_sum[row], make_float2(rows.max[r], rows.sum[r]));
      auto* to = reinterpret_cast<float2*>(part.out[row]) + threadIdx.x % 4;
#pragma unroll
      for (int j = 0; j < S::kHeadDim / 8; ++j)
        __stcg(to + 4 * j, make_float2(sums[4 * j + 2 * r], sums[4 * j + 2 * r + 1]));
    }
  }
};

template <class S>
__global__ void __launch_bounds__(S::kThreads, 1)
    read_prefixes(const __grid_constant__ CUtensorMap q_map,
                  const __grid_constant__ CUtensorMap k_map,
                  const __grid_constant__ CUtensorMap v_map,
                  const __grid_constant__ PrefixItems items) {
  run_items<S>(q_map, k_map, v_map, items);
}

template <class S>
void launch_prefixes(Stream stream, const AttentionArgs& a) {
  constexpr size_t kShared = sizeof(PrefillShared<S>) + kSharedSlack;
  allow_shared(reinterpret_cast<const void*>(read_prefixes<S>), kShared);
  int pack = a.num_heads / a.num_kv_heads;
  PrefixItems items{.plan = prefix_plan(stream),
                    .page_table = a.batch.page_table,
                    .page_table_stride = a.batch.page_table_stride,
                    .parts = prefix_parts(stream),
                    .pack = pack,
                    .num_kv_heads = a.num_kv_heads,
                    .scale_log2 = scale_log2(S::kHeadDim)};
  auto ctas = static_cast<unsigned>(num_prefix_ctas());
  launch(stream, {dim3(ctas), dim3(S::kThreads), kShared}, read_prefixes<S>,
         query_map(a, pack, S::kRows / pack), kv_map(a.kv.k), kv_map(a.kv.v), items);
}

}  // namespace

void attention_prefixes(Stream stream, const AttentionArgs& a) {
  if (a.kv.k.dim(3) == 128)
    launch_prefixes<PrefillShape<128, 2>>(stream, a);
  else
    launch_prefixes<PrefillShape<64, 3>>(stream, a);
}

}  // namespace ll::cuda
