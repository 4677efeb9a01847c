#pragma once
// How a step's attention is cut into work. Lengths are known to the GPU only, so one small kernel a
// step writes the work lists and every layer reads them; what is arithmetic stands here, for both
// sides and for host-only tests.
//
// Decode rows: the flat list of tiles (row, KV head, page that the row reads), rows outermost, is
// cut into equal runs, one a CTA, so that no mix of lengths leaves an SM idle. The tiles of one
// (row, KV head) are a group; where a cut falls inside a group, its CTAs leave parts, and the last
// CTA to finish merges them, in their order, over at most two levels. Of few groups each may have
// so many parts that merging takes most of the time: a family may have fewer CTAs then, or ones
// that form clusters.
//
// Chunks: tiles of consecutive tokens of one chunk, each with `pack` query heads of one KV head as
// its rows, the most work first.
//
// Where ranks share the positions, "positions", "lengths" and "pages" are those this rank has: a
// row sees a run of them from the first on, as it does of all positions where they are not shared.
#include <cstdint>

#include "base/numbers.h"
#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/ops.h"

namespace ll::cuda {

// A page is a box of the copy engine, and wgmma's M in the decode kernel for it.
static_assert(kPagePositions == 64);
constexpr int kMaxGroup = 8;         // query heads of a KV head: the smallest N of matrix products
constexpr int kMaxSequences = 4096;  // decode rows, and chunks, of a step
constexpr int kMaxDecodeCtas = 512;
constexpr int kMaxPrefillTiles = 1 << 16;

// How a family's kernels want their work.
struct DecodeCut {
  int ctas;                 // of the kernel, whatever the lengths
  int few_ctas, few_tiles;  // of them get all tiles where these are less
  int min_tiles;            // of a CTA that gets any, unless there are too few for one
};
struct PrefillCut {
  int tile_rows;        // each a query head of a token
  int block_positions;  // that a tile takes at a time
};
struct PlanShape {
  DecodeCut decode;
  PrefillCut prefill;
  // The first page that a decode row reads, [num_decode] on the device; null: all of them read from
  // page 0 on.
  const int32_t* first_pages = nullptr;
};

constexpr int smaller(int a, int b) { return a < b ? a : b; }
constexpr int pages_of(int length) { return ceil_div(length, kPagePositions); }

// [0, total) cut into `pieces` runs whose sizes differ by at most one; pieces <= total. Product
// holds total * pieces.
template <class Product>
struct EvenCut {
  int total, pieces;

  constexpr int begin(int piece) const {
    return static_cast<int>(static_cast<Product>(total) * piece / pieces);
  }
  constexpr int size(int piece) const { return begin(piece + 1) - begin(piece); }
  constexpr int piece_of(int x) const {
    return static_cast<int>((static_cast<Product>(x + 1) * pieces - 1) / total);
  }
};

// ---- decode

using TileCut = EvenCut<int64_t>;  // the flat list over the CTAs

// CTAs that get tiles, the first ones.
constexpr int num_decode_ctas(int total_tiles, const DecodeCut& cut) {
  int most = total_tiles < cut.few_tiles ? cut.few_ctas : cut.ctas;
  int enough = total_tiles / cut.min_tiles;
  return total_tiles == 0 ? 0 : smaller(most, enough > 0 ? enough : 1);
}

// The CTAs that share a group; one: it is not cut. A CTA leaves at most two parts, in slots 2 cta
// (of the group its first tile belongs to) and 2 cta + 1 (of a group that begins later in it).
struct GroupParts {
  int32_t first_cta, num_parts, first_slot;

  constexpr int slot_of(int part) const { return part == 0 ? first_slot : 2 * (first_cta + part); }
};

// `tiles` cuts the flat list; the group holds tiles [begin, begin + num_pages) of it.
constexpr GroupParts group_parts(TileCut tiles, int begin, int num_pages) {
  int first = tiles.piece_of(begin), last = tiles.piece_of(begin + num_pages - 1);
  return {first, last - first + 1, 2 * first + (tiles.begin(first) < begin ? 1 : 0)};
}

// More than fan_in parts are merged in inner nodes first.
using NodeCut = EvenCut<int>;
constexpr NodeCut merge_nodes(int num_parts, int fan_in) {
  return {num_parts, ceil_div(num_parts, fan_in)};
}

// The line of a pool's rows where a page of a KV head begins, and how many positions of it are
// there, in one number. The pool has less than 2^31 rows.
struct TilePlace {
  static constexpr int32_t pack(int page_id, int num_kv_heads, int kv_head, int positions) {
    return (page_id * num_kv_heads + kv_head) * kPagePositions +
           smaller(positions, kPagePositions) - 1;
  }
  static constexpr int line(int32_t place) { return place & ~(kPagePositions - 1); }
  static constexpr int positions(int32_t place) { return place % kPagePositions + 1; }
};

// Where a CTA starts, in one line of memory that a warp reads at once; num_tiles 0: nothing to do.
struct alignas(128) DecodeStart {
  static constexpr int kPlaces = 19;

  int32_t num_tiles;
  int32_t row, kv_head, page;  // of the first tile
  int32_t kv_length, slot;     // of its row
  int32_t last_row;            // of the last tile
  GroupParts head, tail;       // of the groups of the first tile and of the last
  int32_t places[kPlaces];     // of the first tiles
};
static_assert(sizeof(DecodeStart) == 128);

// A decode row; tiles [first_tile, next row's first_tile) of the flat list are its own.
struct alignas(16) DecodeRow {
  int32_t first_tile, kv_length, slot, unused;
};

// ---- prefill

struct alignas(32) PrefillTile {
  int32_t first_row, num_tokens;  // rows of the step
  int32_t first_position;         // of the first token, of all positions
  int32_t kv_length;              // of the chunk's sequence: beyond it a page holds anything
  int32_t slot;
  int32_t num_blocks;  // of block_positions, up to the last token's; at least one
  int32_t unused[2];
};

constexpr int num_tiles_of(const Chunk& c, int tokens_per_tile) {
  return ceil_div(c.num_rows, tokens_per_tile);
}

constexpr PrefillTile prefill_tile(const Chunk& c, int index, int tokens_per_tile,
                                   int block_positions, const PositionSplit& split) {
  int first = index * tokens_per_tile, count = smaller(tokens_per_tile, c.num_rows - first);
  int blocks = ceil_div(split.count(c.first_position + first + count), block_positions);
  return {c.first_row + first,
          count,
          c.first_position + first,
          split.count(c.first_position + c.num_rows),
          c.slot,
          blocks > 0 ? blocks : 1,
          {}};
}

// ---- the plan in device memory

struct AttentionPlan {
  DecodeStart starts[kMaxDecodeCtas];
  DecodeRow rows[kMaxSequences + 1];  // the last one begins where all end
  PrefillTile tiles[kMaxPrefillTiles];
};

// The plan of the step under way on this stream, in device memory.
AttentionPlan* attention_plan(Stream stream);

// Writes the plan of a step; both parts may be empty. The page table must be the step's already:
// the plan holds the places of each CTA's first pages. The query heads of a KV head share the tiles
// of prompts.
void launch_attention_plan(Stream stream, const BatchView& batch, const AttentionShape& attention,
                           const PlanShape& shape);

}  // namespace ll::cuda
