#pragma once
// What the prefixes of a decode row have left of it, added to what the row has of its own.
#include "kernels/cuda/attention/attention_merge.cuh"
#include "kernels/cuda/attention/sm90/attention_decode_producer.cuh"
#include "kernels/cuda/attention/sm90/attention_decode_stage.cuh"
#include "kernels/cuda/attention/sm90/prefix_plan.cuh"

namespace ll::cuda {

// What a thread has of some parts, as Running has it of the row's own; those that are not there are
// of no position.
template <class S>
struct PartBatch {
  static constexpr int kParts = !S::kHasPrefixes ? 0 : S::kHeadDim == 128 ? 3 : 4;
  static constexpr int kValues = 2 * S::kHalves;  // of a head: of dim
                                                  // i / 2 * 64 + thread_line() + i % 2 * 8
  struct Head {
    float2 max_and_sum;
    float values[kValues];
  };
  Head heads[2][kParts > 0 ? kParts : 1];

  __device__ void load(const PrefixPart<S::kHeadDim>* parts, int count, int first_line, int group) {
#pragma unroll
    for (int i = 0; i < kParts; ++i)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        Head& head = heads[j][i];
        bool is_there = i < count && thread_head() + j < group;
        int line = first_line + thread_head() + j;
        head.max_and_sum =
            is_there ? __ldcg(&parts[i].max_and_sum[line]) : make_float2(-kInfinity, 0.0f);
#pragma unroll
        for (int v = 0; v < kValues; ++v)
          head.values[v] =
              is_there ? __ldcg(&parts[i].out[line][v / 2 * 64 + thread_line() + v % 2 * 8]) : 0.0f;
      }
  }

  __device__ void add_to(Running<S>& running, float scale) const {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      float top = running.max[j];
#pragma unroll
      for (int i = 0; i < kParts; ++i) top = fmaxf(top, heads[j][i].max_and_sum.x);
      float mine = exp2_fast((running.max[j] - top) * scale);
      running.max[j] = top;
      running.sum[j] *= mine;
#pragma unroll
      for (int v = 0; v < kValues; ++v) running.out[v / 2][v % 2 * 2 + j] *= mine;
#pragma unroll
      for (int i = 0; i < kParts; ++i) {
        const Head& head = heads[j][i];
        float weight = exp2_fast((head.max_and_sum.x - top) * scale);
        running.sum[j] += head.max_and_sum.y * weight;
#pragma unroll
        for (int v = 0; v < kValues; ++v)
          running.out[v / 2][v % 2 * 2 + j] += head.values[v] * weight;
      }
    }
  }
};

// The parts of one row and KV head; where the kernel is not behind prefixes, nothing.
template <class S>
class RowPrefixes {
 public:
  using PartOfItem = PrefixPart<S::kHeadDim>;
  using Batch = PartBatch<S>;

  template <class Innermost>
  __device__ RowPrefixes(const DecodeArgs& a, int row, int kv_head, const Innermost& innermost)
      : a_(a), row_(row), kv_head_(kv_head) {
    if constexpr (S::kHasPrefixes) innermost_ = innermost;
  }

  // The thread's head is one of the group's.
  __device__ void add_to(Merged<S::kHeadDim>& merged) const {
    for_each_group([&](const RowParts& at) {
      int line = at.token * pack() + merged.head(), dim = merged.dim();
      const PartOfItem* parts = parts_of(at);
      merged.fold(at.num_items, a_.scale_log2, [&](int i) -> typename Merged<S::kHeadDim>::Own {
        return {&parts[i].max_and_sum[line], &parts[i].out[line][dim]};
      });
    });
  }

  // Loads that may take their time; `group` heads of the tile are the row's.
  __device__ void load_first(Batch& batch, int group) const {
    if constexpr (S::kHasPrefixes)
      batch.load(parts_of(innermost_), innermost_.num_items, innermost_.token * pack(), group);
  }
  __device__ void add_to(Running<S>& running, const Batch& first, int group) const {
    int done = Batch::kParts;
    for_each_group([&](const RowParts& at) {
      if (done > 0) first.add_to(running, a_.scale_log2);
#pragma unroll 1
      for (; done < at.num_items; done += Batch::kParts) {
        Batch batch;
        batch.load(parts_of(at) + done, at.num_items - done, at.token * pack(), group);
        batch.add_to(running, a_.scale_log2);
      }
      done = 0;
    });
  }

 private:
  __device__ int pack() const { return a_.num_heads / a_.num_kv_heads; }
  __device__ const PartOfItem* parts_of(const RowParts& at) const {
    return static_cast<const PartOfItem*>(a_.prefix_parts) + at.first_item;
  }

  // From the innermost group out.
  template <class Add>
  __device__ void for_each_group(Add add) const {
    if constexpr (S::kHasPrefixes) {
      RowParts at = innermost_;
      if (at.num_items == 0) return;
#pragma unroll 1
      for (;; at = parts_in(at.parent)) {
        add(at);
        if (at.parent < 0) return;
      }
    }
  }

  __device__ RowParts parts_in(int group) const {
    int4 g = __ldcg(reinterpret_cast<const int4*>(a_.prefixes->groups + group));
    GroupUnits units{g.x, g.y, g.z, g.w};
    int token = row_ - units.first_row,
        unit = units.first_unit + kv_head_ * units.num_tiles + token / a_.prefix_tokens;
    int2 items = __ldcg(reinterpret_cast<const int2*>(a_.prefixes->units + unit));
    return {items.x, items.y, token % a_.prefix_tokens, units.parent};
  }

  const DecodeArgs& a_;
  int row_, kv_head_;
  RowParts innermost_{0, 0, 0, -1};
};

}  // namespace ll::cuda
