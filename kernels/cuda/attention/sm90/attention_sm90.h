#pragma once
// The kernels of the row sm90: decode rows, the prefixes that they share, and chunks of prompts.
// Head dimensions 64 and 128, up to kMaxGroup query heads a KV head; they follow the step's plans
// (attention_plan.cuh, prefix_plan.cuh).
#include "kernels/cuda/attention/attention_plan.cuh"
#include "kernels/ops.h"

namespace ll::cuda {

constexpr int kBlockPositions = 128;  // that a prefill tile takes at a time

// Lets the kernels have their shared memory, and asks how many CTAs of it run at once in clusters.
void prepare_decode();
// How to cut a step of so many groups (decode rows times KV heads); rows that have prefixes are not
// for CTAs in clusters.
DecodeCut decode_cut(int num_groups, bool has_prefixes);
PrefillCut prefill_cut(int head_dim);

// What groups of rows read together comes first, where the step reads_prefixes().
void attention_prefixes(Stream stream, const AttentionArgs& a);
void attention_decode(Stream stream, const AttentionArgs& a);
void attention_prefill(Stream stream, const AttentionArgs& a);

}  // namespace ll::cuda
