#include "kernels/cuda/attention/sm90/prefix_plan.cuh"

#include "kernels/cuda/attention/block_scan.cuh"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/workspace.h"

namespace ll::cuda {
namespace {

constexpr int kThreads = kScanThreads;

// Behind the plan of the step.
constexpr size_t kPlanOffset = round_up(sizeof(AttentionPlan), size_t{256});
static_assert(kPlanOffset + sizeof(PrefixPlan) <= Workspace::kAttentionPlanBytes);
static_assert(kDecodeScratchBytes + kMaxPrefixItems * sizeof(PrefixPart<128>) <=
              Workspace::kScratchBytes);
static_assert(kDecodeScratchBytes + kMaxPrefixItems * sizeof(PrefixPart<64>) <=
              Workspace::kScratchBytes);

struct PrefixPlanArgs {
  const PrefixGroup* groups;  // [num_groups]
  const int32_t *row_groups, *slots;
  int num_groups, num_decode, num_kv_heads;
  int tokens;  // of a tile
  int ctas;
  PrefixPlan* plan;

  __device__ int num_units(int group) const {
    return ceil_div(groups[group].num_rows, tokens) * num_kv_heads;
  }
  __device__ int num_blocks(int group) const {
    return ceil_div(groups[group].num_pages, kBlockPages);
  }
};

struct PrefixShared {
  int first_unit[kMaxSequences + 1], first_block[kMaxSequences + 1];  // of a group
  int warp_sums[kScanWarps];
};

// Blocks [begin, end) of the flat list that a unit has.
struct UnitBlocks {
  int begin, end;
};

// The items of one unit, and what their CTAs begin or end with.
__device__ void write_items(const PrefixPlanArgs& a, int unit, UnitBlocks blocks, TileCut cut,
                            const PrefixItem& whole) {
  PrefixPlan& plan = *a.plan;
  int first = cut.piece_of(blocks.begin), last = cut.piece_of(blocks.end - 1);
  plan.units[unit] = {unit + first, last - first + 1};
  for (int cta = first; cta <= last; ++cta) {
    int cta_begin = cut.begin(cta), cta_end = cut.begin(cta + 1);
    int begin = max(cta_begin, blocks.begin) - blocks.begin,
        end = smaller(cta_end, blocks.end) - blocks.begin;
    PrefixItem item = whole;
    item.first_page += begin * kBlockPages;
    item.num_pages = smaller(end * kBlockPages, whole.num_pages) - begin * kBlockPages;
    plan.items[unit + cta] = item;
    if (cta_begin >= blocks.begin) plan.ctas[cta].first = unit + cta;
    if (cta_end <= blocks.end) plan.ctas[cta].end = unit + cta + 1;
  }
}

// The units of groups [0, num_taken).
__device__ void write_units(const PrefixPlanArgs& a, int num_taken, const PrefixShared& shared) {
  int total = shared.first_block[num_taken];
  TileCut cut{total, num_decode_ctas(total, {a.ctas, a.ctas, 0, kMinPrefixBlocks})};
  for (int cta = threadIdx.x; cta < a.ctas; cta += kThreads)
    if (cta >= cut.pieces) a.plan->ctas[cta] = {0, 0};
  for (int unit = threadIdx.x; unit < shared.first_unit[num_taken]; unit += kThreads) {
    int group = holder_of(unit, shared.first_unit, num_taken);
    const PrefixGroup& g = a.groups[group];
    int within = unit - shared.first_unit[group], num_tiles = ceil_div(g.num_rows, a.tokens),
        first_row = within % num_tiles * a.tokens, num_blocks = a.num_blocks(group),
        begin = shared.first_block[group] + within * num_blocks;
    PrefixItem whole{.first_row = g.first_row + first_row,
                     .num_tokens = smaller(a.tokens, g.num_rows - first_row),
                     .slot = a.slots[g.first_row],
                     .first_page = g.first_page,
                     .num_pages = g.num_pages,
                     .kv_head = within / num_tiles,
                     .unused = {}};
    write_items(a, unit, {begin, begin + num_blocks}, cut, whole);
  }
}

__device__ void write_rows(const PrefixPlanArgs& a, int num_taken) {
  PrefixPlan& plan = *a.plan;
  for (int i = threadIdx.x; i < a.num_decode * a.num_kv_heads; i += kThreads) {
    int row = i / a.num_kv_heads, kv_head = i % a.num_kv_heads, group = a.row_groups[row];
    while (group >= num_taken) group = a.groups[group].parent;
    RowParts parts{0, 0, 0, -1};
    if (group >= 0) {
      const GroupUnits& g = plan.groups[group];
      int token = row - g.first_row;
      UnitItems items = plan.units[g.first_unit + kv_head * g.num_tiles + token / a.tokens];
      parts = {items.first, items.count, token % a.tokens, g.parent};
    }
    plan.rows[i] = parts;
    if (kv_head == 0)
      plan.first_pages[row] =
          group < 0 ? 0 : a.groups[group].first_page + a.groups[group].num_pages;
  }
}

// One block.
__global__ void __launch_bounds__(kThreads, 1) plan_prefixes(const PrefixPlanArgs a) {
  __shared__ PrefixShared shared;
  wait_for_previous();
  scan(
      a.num_groups, [&](int g) { return a.num_units(g); }, shared.first_unit, shared.warp_sums);
  // Parents stand before their children, so that what is taken has its parents.
  int num_taken = holder_of(kMaxPrefixUnits, shared.first_unit, a.num_groups + 1);
  scan(
      num_taken, [&](int g) { return a.num_units(g) * a.num_blocks(g); }, shared.first_block,
      shared.warp_sums);
  for (int g = threadIdx.x; g < num_taken; g += kThreads) {
    const PrefixGroup& group = a.groups[g];
    a.plan->groups[g] = {group.first_row, shared.first_unit[g], ceil_div(group.num_rows, a.tokens),
                         group.parent};
  }
  write_units(a, num_taken, shared);
  __syncthreads();
  write_rows(a, num_taken);
  __threadfence();
  __syncthreads();
  let_next_start();
}

}  // namespace

bool reads_prefixes(const BatchView& batch, int num_kv_heads) {
  return batch.num_prefix_groups > 0 && batch.num_decode * num_kv_heads <= kMaxRowParts;
}

int num_prefix_ctas() { return smaller(num_sms(), kMaxPrefixCtas); }

PrefixPlan* prefix_plan(Stream stream) {
  auto* memory = static_cast<char*>(workspace_of(stream).attention_plan.data);
  return reinterpret_cast<PrefixPlan*>(memory + kPlanOffset);
}

void* prefix_parts(Stream stream) {
  return static_cast<char*>(workspace_of(stream).scratch.data) + kDecodeScratchBytes;
}

void launch_prefix_plan(Stream stream, const BatchView& batch, const AttentionShape& shape) {
  require(batch.num_prefix_groups <= kMaxSequences && batch.num_decode <= kMaxSequences,
          "attention: more than 4096 groups or rows in a step");
  PrefixPlanArgs args{
      .groups = batch.prefix_groups,
      .row_groups = batch.row_groups,
      .slots = batch.slots,
      .num_groups = batch.num_prefix_groups,
      .num_decode = batch.num_decode,
      .num_kv_heads = shape.num_kv_heads,
      .tokens = prefix_rows(shape.head_dim) / (shape.num_heads / shape.num_kv_heads),
      .ctas = num_prefix_ctas(),
      .plan = prefix_plan(stream)};
  launch(stream, {dim3(1), dim3(kThreads)}, plan_prefixes, args);
}

}  // namespace ll::cuda
