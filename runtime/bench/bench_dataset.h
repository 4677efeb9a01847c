#pragma once
// Workloads of benchmarks, made of token ids: no download, no tokenizer.
#include <cstdint>
#include <vector>

#include "runtime/config/bench_options.h"

namespace ll {

struct BenchRequest {
  std::vector<int32_t> prompt;
  int32_t output_len = 0;
};

// random: token ids uniform over the vocabulary. nano: requests of 100 to 1024 tokens in and out,
// of 256 the prompts of nano-vllm's bench.py to the token. shared-prefix: a common head, or one of
// several. file:
// JSONL as TensorRT-LLM's prepare_dataset writes it,
// {"input_ids": [...], "output_tokens": N} a line. Throws Error that names file and line.
std::vector<BenchRequest> make_dataset(const DatasetOptions& options, int32_t vocab_size);

}  // namespace ll
