#include "runtime/planning/default_sequences.h"

#include "runtime/engine/model_runner.h"

namespace ll {
namespace {

constexpr int kUsual = 256;
constexpr double kTokens = 1024;  // of a sequence, prompt and answer
constexpr double kKvShare = 0.9;  // of what weights leave, for KV pages
constexpr double kBufferShare = 0.05;
constexpr double kWordsPerToken = 3;  // of the vocabulary: logits, the same without edits, counts

}  // namespace

int default_num_seqs(const ModelConfig& config, DType dtype, const DeviceMemory& memory,
                     int replica_ranks) {
  ModelShard whole = shard_of(config, {}, {});
  auto bytes = [&](size_t of_model) { return static_cast<double>(of_model) / replica_ranks; };
  double room = static_cast<double>(memory.available) -
                bytes(weight_bytes(weight_placements(config, whole), memory.packed_bytes, dtype)),
         sequence = kTokens * bytes(KvCache::page_bytes({config, whole, dtype}, 1)),
         buffers = bytes(static_cast<size_t>(config.vocab_size) * sizeof(float)) * kWordsPerToken;
  for (int sequences : {4 * kUsual, 2 * kUsual})
    if (sequences * sequence <= kKvShare * room && sequences * buffers <= kBufferShare * room)
      return sequences;
  return kUsual;
}

}  // namespace ll
