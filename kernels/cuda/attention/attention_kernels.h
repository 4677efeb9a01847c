#pragma once
// The table of attention's kernels: a row for each family, and one for whatever shape a family does
// not take.
#include "kernels/cuda/device/kernel_family.h"
#include "kernels/ops.h"

namespace ll::cuda {

constexpr int kPagePositions = 64;  // positions of a KV page, in the kernels of all families

struct AttentionKernels {
  const char* name;
  KernelFamily family;
  int max_sequences;  // decode rows, and chunks, of a step; 0: any
  // What is asked of the driver once, after the GPU is opened; or null.
  void (*prepare)();
  bool (*takes)(const AttentionShape& shape);
  bool groups_prefixes = false;  // reads those of BatchView::prefix_groups once
  // Ops::begin_step: writes the step's work lists to the workspace of the stream; or null.
  void (*begin_step)(Stream stream, const BatchView& batch, const AttentionShape& shape);
  // Rows [0, num_decode), and the rows of the chunks; neither is called for none.
  void (*decode)(Stream stream, const AttentionArgs& a);
  void (*prefill)(Stream stream, const AttentionArgs& a);
};

// The rows, each in its own file.
const AttentionKernels& sm90_attention();
const AttentionKernels& sm80_attention();
const AttentionKernels& plain_attention();  // any even head dimension up to kMostPlainDim
constexpr int kMostPlainDim = 1024;

// The first row that serves the GPU and takes the shape.
const AttentionKernels& attention_kernels(const AttentionShape& shape);

// Prepares all rows that serve the GPU; once, after it is opened.
void prepare_attention();
// The fewest sequences of a step that one of them takes; 0: any number.
int max_attention_sequences();
// Whether one of them groups prefixes.
bool attention_groups_prefixes();

}  // namespace ll::cuda
