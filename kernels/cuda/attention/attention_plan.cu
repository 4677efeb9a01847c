#include "kernels/cuda/attention/attention_plan.cuh"

#include "kernels/cuda/attention/attention_outputs.cuh"
#include "kernels/cuda/attention/block_scan.cuh"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/workspace.h"

namespace ll::cuda {
namespace {

static_assert(sizeof(AttentionPlan) <= Workspace::kAttentionPlanBytes);

constexpr int kThreads = kScanThreads, kWarps = kScanWarps;
constexpr int kBins = 2048;  // tiles by their number of blocks; longer ones share the last bin

struct PlanArgs {
  const int32_t *positions, *slots, *page_table;  // [num_tokens], [num_tokens], [num_slots, stride]
  int64_t page_table_stride;
  const Chunk* chunks;
  int num_decode, num_chunks, num_kv_heads, pack;
  int decode_blocks;  // of this kernel
  PlanShape shape;
  PositionSplit split;
  AttentionPlan* plan;

  __device__ int length_of(int row) const { return split.count(positions[row] + 1); }
  __device__ int first_page_of(int row) const {
    return shape.first_pages ? shape.first_pages[row] : 0;
  }
};

struct PlanShared {
  int first[kMaxSequences + 1];  // tiles before a row or chunk
  int bins[kBins + 1];
  int warp_sums[kWarps];
};

// A tile of the flat list.
struct DecodeTile {
  int row, length;
  int first_page, num_pages;  // that the row reads
  int kv_head, page;

  __device__ int place() const { return page - first_page; }  // in its group
};

__device__ DecodeTile tile_at(int index, const PlanArgs& a, const int* first) {
  int row = holder_of(index, first, a.num_decode), length = a.length_of(row);
  int first_page = a.first_page_of(row), pages = pages_of(length) - first_page;
  int within = index - first[row];
  return {row, length, first_page, pages, within / pages, first_page + within % pages};
}

// One block writes all of them.
__device__ void write_rows(const PlanArgs& a, const int* first) {
  for (int row = threadIdx.x; row <= a.num_decode; row += kThreads) {
    bool is_end = row == a.num_decode;
    a.plan->rows[row] = {first[row], is_end ? 0 : a.length_of(row), is_end ? 0 : a.slots[row], 0};
  }
}

__device__ int32_t place_of(const DecodeTile& t, const PlanArgs& a) {
  int id = a.page_table[a.slots[t.row] * a.page_table_stride + t.page];
  return TilePlace::pack(id, a.num_kv_heads, t.kv_head, t.length - t.page * kPagePositions);
}

// A warp writes one CTA's start. Each block sums up all rows for itself, which is faster than
// asking another.
__device__ void plan_decode(const PlanArgs& a, PlanShared& shared) {
  auto tiles_of = [&](int row) {
    return (pages_of(a.length_of(row)) - a.first_page_of(row)) * a.num_kv_heads;
  };
  scan(a.num_decode, tiles_of, shared.first, shared.warp_sums);
  if (blockIdx.x == 0) write_rows(a, shared.first);
  int total = shared.first[a.num_decode], lane = threadIdx.x % 32;
  TileCut cut{total, num_decode_ctas(total, a.shape.decode)};
  int cta = blockIdx.x * kWarps + threadIdx.x / 32;
  if (cta >= a.shape.decode.ctas) return;
  DecodeStart& start = a.plan->starts[cta];
  if (cta >= cut.pieces) {
    if (lane == 0) start.num_tiles = 0;
    return;
  }
  int begin = cut.begin(cta), last = cut.begin(cta + 1) - 1;
  if (lane < DecodeStart::kPlaces && begin + lane <= last)
    start.places[lane] = place_of(tile_at(begin + lane, a, shared.first), a);
  if (lane > 0) return;
  DecodeTile from = tile_at(begin, a, shared.first), to = tile_at(last, a, shared.first);
  start.num_tiles = last - begin + 1;
  start.row = from.row;
  start.kv_head = from.kv_head;
  start.page = from.page;
  start.kv_length = from.length;
  start.slot = a.slots[from.row];
  start.last_row = to.row;
  start.head = group_parts(cut, begin - from.place(), from.num_pages);
  start.tail = group_parts(cut, last - to.place(), to.num_pages);
}

// All tiles, most blocks first: a counting sort. Which of two tiles of equal length comes first is
// left to chance, as each tile's result depends on nothing but the tile.
__device__ void plan_prefill(const PlanArgs& a, PlanShared& shared) {
  int tokens = a.shape.prefill.tile_rows / a.pack;
  for (int i = threadIdx.x; i < kBins; i += kThreads) shared.bins[i] = 0;
  auto tiles_of = [&](int c) { return num_tiles_of(a.chunks[c], tokens); };
  scan(a.num_chunks, tiles_of, shared.first, shared.warp_sums);
  int total = shared.first[a.num_chunks];
  auto make_tile = [&](int i) {
    int c = holder_of(i, shared.first, a.num_chunks);
    return prefill_tile(a.chunks[c], i - shared.first[c], tokens, a.shape.prefill.block_positions,
                        a.split);
  };
  auto bin_of = [](const PrefillTile& t) { return kBins - smaller(t.num_blocks, kBins); };
  for (int i = threadIdx.x; i < total; i += kThreads)
    atomicAdd(&shared.bins[bin_of(make_tile(i))], 1);
  __syncthreads();
  scan(
      kBins, [&](int bin) { return shared.bins[bin]; }, shared.bins, shared.warp_sums);
  for (int i = threadIdx.x; i < total; i += kThreads) {
    PrefillTile tile = make_tile(i);
    a.plan->tiles[atomicAdd(&shared.bins[bin_of(tile)], 1)] = tile;
  }
}

__global__ void __launch_bounds__(kThreads, 1) plan_step(const PlanArgs a) {
  __shared__ PlanShared shared;
  wait_for_previous();
  if (static_cast<int>(blockIdx.x) < a.decode_blocks)
    plan_decode(a, shared);
  else
    plan_prefill(a, shared);
  // Whatever starts from now on may read the plan, and the page table it was made from, before its
  // own wait_for_previous.
  __threadfence();
  __syncthreads();
  let_next_start();
}

}  // namespace

AttentionCounters* attention_counters(Stream stream) {
  static_assert(sizeof(AttentionCounters) <= Workspace::kCounterBytes);
  return static_cast<AttentionCounters*>(workspace_of(stream).zeroed_counters.data);
}

AttentionPlan* attention_plan(Stream stream) {
  return static_cast<AttentionPlan*>(workspace_of(stream).attention_plan.data);
}

void launch_attention_plan(Stream stream, const BatchView& batch, const AttentionShape& attention,
                           const PlanShape& shape) {
  int pack = attention.num_heads / attention.num_kv_heads;
  int num_chunks = static_cast<int>(batch.chunks.size()), num_tiles = 0;
  require(batch.num_decode <= kMaxSequences && batch.chunks.size() <= kMaxSequences,
          "attention: more than 4096 sequences in a step");
  require(shape.decode.ctas <= kMaxDecodeCtas, "attention: more SMs than the plan has room for");
  for (const Chunk& c : batch.chunks) num_tiles += num_tiles_of(c, shape.prefill.tile_rows / pack);
  require(num_tiles <= kMaxPrefillTiles, "attention: more rows of prompts than a step may have");
  int decode_blocks = batch.num_decode > 0 ? ceil_div(shape.decode.ctas, kWarps) : 0;
  int blocks = decode_blocks + (num_chunks > 0 ? 1 : 0);
  if (blocks == 0) return;
  PlanArgs args{.positions = batch.positions,
                .slots = batch.slots,
                .page_table = batch.page_table,
                .page_table_stride = batch.page_table_stride,
                .chunks = batch.device_chunks,
                .num_decode = batch.num_decode,
                .num_chunks = num_chunks,
                .num_kv_heads = attention.num_kv_heads,
                .pack = pack,
                .decode_blocks = decode_blocks,
                .shape = shape,
                .split = attention.split,
                .plan = attention_plan(stream)};
  launch(stream, {dim3(static_cast<unsigned>(blocks)), dim3(kThreads)}, plan_step, args);
}

}  // namespace ll::cuda
