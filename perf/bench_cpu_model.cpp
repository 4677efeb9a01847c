// usage: bench_cpu_model [config.json or its folder] [prompt tokens] [decode steps]
// The CPU backend on a random-weight model: batch-1 decode beside the memory floor, prefill beside
// the matrix floor, all measured in this run.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "perf/cpu_floors.h"
#include "runtime/engine/model_runner.h"
#include "runtime/process/cpu_threads.h"

namespace {

using namespace ll;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<int64_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

StepPlan prefill_plan(int32_t tokens) {
  StepPlan plan;
  plan.new_slots.push_back({.slot = 0});
  StepPlan::PromptChunk chunk{.slot = 0};
  for (int32_t i = 0; i < tokens; ++i) chunk.tokens.push_back(1000 + i * 7 % 5000);
  plan.chunks.push_back(chunk);
  plan.samples.push_back({tokens - 1, 0, tokens});
  for (int32_t i = 0; i < 64; ++i) plan.page_deltas.push_back({0, i, i});
  return plan;
}

}  // namespace

int main(int argc, char** argv) {
  std::string path = argc > 1 ? argv[1] : "perf/models/qwen2.5-0.5b";
  int32_t prompt = argc > 2 ? std::atoi(argv[2]) : 512, steps = argc > 3 ? std::atoi(argv[3]) : 32;
  ModelConfig config = load_config_only(path);
  Backend backend = open_backend(BackendKind::kCpu, 0, threads_of_rank(MpiGroup(), 0));
  ProcessGrid grid(backend, MpiGroup(), {});
  ModelShard shard = shard_of(config, {}, {});
  RunnerOptions options{.max_num_seqs = 1,
                        .max_num_batched_tokens = prompt,
                        .max_length = 4096,
                        .num_pages = 64,
                        .page_size = 64};
  DecoderWeights weights = random_weights(config, shard, DType::bf16, backend, {}, 0);
  size_t weight_bytes_read =
      weight_bytes(weight_placements(config, shard), backend.ops.packed_bytes, DType::bf16);
  if (!config.tie_word_embeddings)
    weight_bytes_read -=
        backend.ops.packed_bytes(config.vocab_size, config.hidden_size, DType::bf16);
  ModelRunner runner(options, backend, grid, {}, config, shard, std::move(weights));

  auto run = [&](const StepPlan& plan) {
    auto start = Clock::now();
    runner.launch(plan);
    runner.collect();
    return seconds_since(start);
  };
  std::vector<double> prefills, decodes, reads;
  perf::MemoryReader reader;
  constexpr int32_t kStepsPerRead = 2;
  for (int i = 0; i < 40; ++i) prefills.push_back(run(prefill_plan(prompt)));
  for (int32_t i = 0; i < steps; ++i) {
    StepPlan plan;
    plan.decode.push_back({0, prompt + i});
    plan.samples.push_back({0, 0, prompt + i + 1});
    decodes.push_back(run(plan));
    if (i % kStepsPerRead == 0) reads.push_back(reader.pass());
  }
  double read = median(reads), matrix = perf::matrix_rate();
  double prefill = *std::min_element(prefills.begin() + 1, prefills.end()),
         decode = median(decodes);
  // Every parameter but the input embedding's works on every prompt token; the head on the last.
  double head = static_cast<double>(config.vocab_size * config.hidden_size);
  double body =
      static_cast<double>(config.num_parameters()) - head * (config.tie_word_embeddings ? 1 : 2);
  double flops = 2 * (body * prompt + head);
  double bytes = static_cast<double>(weight_bytes_read);
  fmt::print("{}, {}: memory reads {:.1f} GB/s, bfloat16 products {:.0f} GFLOP/s\n", path,
             backend.device_name, read, matrix);
  fmt::print(
      "decode, batch 1 at {} tokens   {:8.2f} ms  {:7.1f} tok/s  {:6.1f} GB/s   {:5.1f}% of the "
      "memory floor\n",
      prompt, decode * 1e3, 1 / decode, bytes / decode * 1e-9, 100 * bytes / decode * 1e-9 / read);
  fmt::print(
      "prefill of {} tokens          {:8.2f} ms  {:7.1f} tok/s  {:6.0f} GFLOP/s {:5.1f}% of the "
      "matrix floor\n",
      prompt, prefill * 1e3, prompt / prefill, flops / prefill * 1e-9,
      100 * flops / prefill * 1e-9 / matrix);
}
