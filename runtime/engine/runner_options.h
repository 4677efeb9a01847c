#pragma once
// The limits a ModelRunner is made for; planning asks for its buffers by them, without a device.
#include <algorithm>
#include <cstdint>

#include "runtime/schedule/draft_options.h"

namespace ll {

struct RunnerOptions {
  int32_t max_num_seqs = 256;
  int32_t max_num_batched_tokens = 8192;
  int64_t max_length = 0;  // positions of a sequence
  int64_t num_pages = 0;
  int64_t page_size = 64;  // positions a rank has in a page
  // Decode steps of up to so many rows are captured as graphs, where the device has them.
  int32_t graph_max_rows = 0;
  bool collects = true;  // this rank brings scores to the host, too
  DraftOptions drafts = {};

  // Samples that a step has at most: a token of each sequence, and the drafts.
  int32_t max_samples() const { return max_num_seqs + drafts.max_rows(max_num_seqs); }
  // Decode rows of the largest step that is captured.
  int32_t max_captured_rows() const {
    int32_t rows = std::min(graph_max_rows, max_num_seqs);
    return rows > 0 ? rows + drafts.max_rows(max_num_seqs) : 0;
  }
};

}  // namespace ll
