#pragma once
// Workloads of benchmarks, made of token ids: no download, no tokenizer.
#include <cstdint>
#include <string>
#include <vector>

namespace ll {

constexpr int64_t kNanoPrompts = 256;  // of nano, unless told otherwise

struct BenchRequest {
  std::vector<int32_t> prompt;
  int32_t output_len = 0;
};

struct DatasetOptions {
  enum class Kind { kRandom, kNano, kSharedPrefix, kFile };
  Kind kind = Kind::kRandom;
  std::string path;  // of kFile
  int64_t num_prompts = 1000;
  int64_t input_len = 1024, output_len = 128;
  double range_ratio = 0;     // lengths vary by this share in both directions
  int64_t prefix_len = 4096;  // of kSharedPrefix: what all begin with, before their own input_len
  uint64_t seed = 0;

  bool operator==(const DatasetOptions&) const = default;
};

// random: token ids uniform over the vocabulary. nano: requests of 100 to 1024 tokens in and out,
// of 256 the prompts of nano-vllm's bench.py to the token. shared-prefix: one common head. file:
// JSONL as TensorRT-LLM's prepare_dataset writes it,
// {"input_ids": [...], "output_tokens": N} a line. Throws Error that names file and line.
std::vector<BenchRequest> make_dataset(const DatasetOptions& options, int32_t vocab_size);

}  // namespace ll
