#pragma once
// What RoPE does with a row of q, k and v: for its own kernel, and for products that end with it.
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/device_math.cuh"

namespace ll::cuda {

// Where a row's keys and values go. position -1: the row is unused; line -1: another rank's.
struct RopePlace {
  int position;
  int64_t line;  // of [pages, KH, page_size], for KV head 0
};

struct RopeTargets {
  const float* cos_sin;     // [positions, dim]: cosines, then sines
  bf16 *k_pages, *v_pages;  // [pages, KH, page_size, dim]
  const int32_t *positions, *slots, *page_table;
  int64_t page_table_stride;
  int num_heads, num_kv_heads, dim, page_size;
  PositionSplit split;

  // By way of the L2 cache, as it may be read before wait_for_previous: positions and pages are
  // known before begin_step's kernel lets anything start.
  __device__ RopePlace place_of(int row) const {
    int position = __ldcg(positions + row);
    if (position < 0 || !split.owns(position)) return {position, -1};
    int own = split.count(position);  // its place among this rank's positions
    int64_t page = __ldcg(page_table + __ldcg(slots + row) * page_table_stride + own / page_size);
    return {position, page * num_kv_heads * page_size + own % page_size};
  }

  __device__ bool turns(int head) const { return head < num_heads + num_kv_heads; }

  // A head of the row; null when it is stored nowhere. `q`: where it is if it is a query.
  __device__ bf16* head_at(const RopePlace& place, int head, bf16* q) const {
    if (place.position < 0) return nullptr;
    int kv_head = head - num_heads;
    if (kv_head < 0) return q;
    if (place.line < 0) return nullptr;
    bool is_value = kv_head >= num_kv_heads;
    int64_t line = place.line + int64_t{kv_head - (is_value ? num_kv_heads : 0)} * page_size;
    return (is_value ? v_pages : k_pages) + line * dim;
  }

  // Elements 2 i and 2 i + 1 of a head at a position.
  __device__ uint32_t turned_pair(int position, int head, int i, float first, float second) const {
    if (!turns(head)) return pack_pair(first, second);
    const float* angle = cos_sin + int64_t{position} * dim + i;
    float c = angle[0], s = angle[dim / 2];
    return pack_pair(first * c - second * s, second * c + first * s);
  }
};

// The angles of four pairs, from element `at` (a multiple of eight, as `dim` is) of a head on.
struct FourAngles {
  float4 cosines{1, 1, 1, 1}, sines{};

  __device__ static FourAngles load(const RopeTargets& r, int position, int at) {
    const float* row = r.cos_sin + int64_t{position} * r.dim + at / 2;
    return {*reinterpret_cast<const float4*>(row),
            *reinterpret_cast<const float4*>(row + r.dim / 2)};
  }
  __device__ void turn(float (&x)[8]) const {
    float c[] = {cosines.x, cosines.y, cosines.z, cosines.w},
          s[] = {sines.x, sines.y, sines.z, sines.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = a * c[i] - b * s[i];
      x[2 * i + 1] = b * c[i] + a * s[i];
    }
  }
};

inline RopeTargets rope_targets(const RopeAndStoreArgs& a) {
  int64_t dim = a.kv.k.dim(3);
  require(a.kv.k.dim(1) == a.num_kv_heads && a.cos_sin.dim(1) == dim, "rope: shapes");
  require(dim % 2 == 0, "rope: an odd head dimension");
  return {a.cos_sin.as<float>(),
          a.kv.k.as<bf16>(),
          a.kv.v.as<bf16>(),
          a.batch.positions,
          a.batch.slots,
          a.batch.page_table,
          a.batch.page_table_stride,
          a.num_heads,
          a.num_kv_heads,
          static_cast<int>(dim),
          static_cast<int>(a.kv.page_size()),
          a.kv.split};
}

}  // namespace ll::cuda
