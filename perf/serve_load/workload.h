#pragma once
// Requests of a load: random prompts at Poisson times, the same for the same seed everywhere.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "perf/serve_load/load.h"

namespace ll {

struct Workload {
  std::string model = {};
  int64_t num_prompts = 1000;
  double rate = std::numeric_limits<double>::infinity();  // a second
  int64_t input_len = 1024, output_len = 128;
  double range_ratio = 0;  // of lengths, up and down
  double temperature = 0;
  bool ignore_eos = false;
  // Chats have words in the place of token ids, of which most tokenizers make a token each.
  bool is_chat = false;
  uint64_t seed = 0;
};
std::vector<LoadRequest> make_workload(const Workload& work);

}  // namespace ll
