#pragma once
// Prefixes that decode rows share, read once for each group of rows: how that is cut into work. The
// queries of a group's rows, `pack` heads of a KV head a row, stand in tiles as those of a prompt
// do, and each of them sees all positions of the prefix. A tile of one KV head is a unit; the flat
// list of the units' blocks of positions is cut into equal runs, one a CTA, and what a CTA has of a
// unit is an item. Each item leaves a part; the decode kernel adds those of a row to what the row
// has of its own.
//
// Items are numbered by unit + CTA: from one to the next in the list either the unit or the CTA is
// the next one, or both are and a number is left out.
#include "kernels/cuda/attention/attention_plan.cuh"
#include "kernels/cuda/attention/sm90/attention_sm90.h"

namespace ll::cuda {

constexpr int kMaxPrefixItems = 1920;
constexpr int kMaxPrefixCtas = 256;
// Groups whose units would be more than these are left out: their rows read for themselves.
constexpr int kMaxPrefixUnits = kMaxPrefixItems - kMaxPrefixCtas;
constexpr int kMinPrefixBlocks = 2;    // that a CTA gets at least
constexpr int kMaxRowParts = 1 << 16;  // decode rows times KV heads, of a step with groups
constexpr int kBlockPages = kBlockPositions / kPagePositions;

// Rows of a unit.
constexpr int prefix_rows(int head_dim) { return head_dim == 128 ? 128 : 192; }

struct alignas(32) PrefixItem {
  int32_t first_row, num_tokens;  // rows of the step
  int32_t slot;                   // of one of them
  int32_t first_page, num_pages;  // of its page table
  int32_t kv_head;
  int32_t unused[2];

  __device__ int num_blocks() const { return ceil_div(num_pages, kBlockPages); }
};

// A CTA's items [first, end).
struct PrefixCta {
  int32_t first, end;
};

// The items of a unit.
struct UnitItems {
  int32_t first, count;
};

struct alignas(16) GroupUnits {
  int32_t first_row, first_unit;
  int32_t num_tiles;  // of units: num_tiles for the first KV head, then for the next
  int32_t parent;
};

// What one KV head of a decode row is to add: lines `token` times pack and on of the parts of these
// items, and the same of the parent group.
struct alignas(16) RowParts {
  int32_t first_item, num_items, token;
  int32_t parent;  // -1: none
};

struct PrefixPlan {
  PrefixItem items[kMaxPrefixItems];
  PrefixCta ctas[kMaxPrefixCtas];
  UnitItems units[kMaxPrefixUnits];
  GroupUnits groups[kMaxSequences];
  RowParts rows[kMaxRowParts];         // [decode rows, KV heads], of a row's innermost group
  int32_t first_pages[kMaxSequences];  // of a decode row: how many pages are read by groups
};

// What an item leaves of each row of its tile: sums over its positions of exp2((s - max) scale) v,
// and the same of 1.
template <int kHeadDim>
struct PrefixPart {
  static constexpr int kLines = prefix_rows(kHeadDim);
  float out[kLines][kHeadDim];
  float2 max_and_sum[kLines];
};

// Whether prefixes are read by groups; if not, rows read all of their pages. Alike in all steps of
// a captured graph.
bool reads_prefixes(const BatchView& batch, int num_kv_heads);

// CTAs of the kernel that reads them.
int num_prefix_ctas();

// The plan of the step under way on this stream, in device memory.
PrefixPlan* prefix_plan(Stream stream);

// Writes it, of a step that reads_prefixes().
void launch_prefix_plan(Stream stream, const BatchView& batch, const AttentionShape& shape);

// What the decode kernel has of the stream's scratch memory, in front of the parts of prefixes.
constexpr size_t kDecodeScratchBytes = size_t{32} << 20;

// Device memory for the parts, between attention_prefixes() and attention_decode() of a layer.
void* prefix_parts(Stream stream);

}  // namespace ll::cuda
