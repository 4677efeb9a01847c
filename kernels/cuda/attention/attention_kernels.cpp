#include "kernels/cuda/attention/attention_kernels.h"

#include "base/check.h"
#include "kernels/cuda/device/cuda_device.h"

namespace ll::cuda {
namespace {

// Those that are to be preferred first.
constexpr const AttentionKernels& (*kRows[])() = {sm90_attention, sm80_attention, plain_attention};

template <class Visit>
void for_each_served(Visit&& visit) {
  for (auto row : kRows)
    if (serves(row().family)) visit(row());
}

}  // namespace

const AttentionKernels& attention_kernels(const AttentionShape& shape) {
  for (auto row : kRows)
    if (serves(row().family) && row().takes(shape)) return row();
  fail("attention: no kernel for {} query and {} KV heads of {} dimensions", shape.num_heads,
       shape.num_kv_heads, shape.head_dim);
}

void prepare_attention() {
  for_each_served([](const AttentionKernels& k) {
    if (k.prepare) k.prepare();
  });
}

int max_attention_sequences() {
  int fewest = 0;
  for_each_served([&](const AttentionKernels& k) {
    if (k.max_sequences > 0 && (fewest == 0 || k.max_sequences < fewest)) fewest = k.max_sequences;
  });
  return fewest;
}

bool attention_groups_prefixes() {
  bool any = false;
  for_each_served([&](const AttentionKernels& k) { any |= k.groups_prefixes; });
  return any;
}

}  // namespace ll::cuda
