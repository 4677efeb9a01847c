#pragma once
// The limits a ModelRunner is made for; planning asks for its buffers by them, without a device.
#include <cstdint>

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
};

}  // namespace ll
