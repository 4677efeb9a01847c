#include "launcher/bench_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "base/check.h"
#include "base/nearest_name.h"
#include "launcher/job_command.h"

namespace ll {
namespace {

enum KindSet : unsigned { kThroughput = 1, kLatency = 2, kOneBatch = 4, kStartup = 8, kGrids = 16 };
constexpr unsigned kBatches = kLatency | kOneBatch, kSpeeds = kThroughput | kBatches,
                   kOneGrid = kSpeeds | kStartup, kAll = kOneGrid | kGrids;

struct Kind {
  unsigned set;
  const char* name;
  const char* help;
  std::vector<std::string> defaults;  // as vLLM and SGLang have them
};
const Kind kKinds[] = {
    {kThroughput,
     "throughput",
     "tokens a second of many requests that are there from the start",
     {}},
    {kLatency,
     "latency",
     "seconds of a whole batch, over many runs",
     {"bench.batch_size=8", "bench.input_len=32", "bench.output_len=128",
      "bench.num_iters_warmup=10"}},
    {kOneBatch,
     "one-batch",
     "prefill and decode step of one batch",
     {"bench.batch_size=1", "bench.input_len=1024", "bench.output_len=16"}},
    {kStartup, "startup", "seconds from this command to the first token", {}},
    {kGrids,
     "grids",
     "steps on one grid of ranks after another, beside what the planner expects",
     {"bench.batch_size=64", "bench.input_len=1024", "bench.output_len=32"}},
};

// Options and the kinds that have them.
struct BenchOption {
  unsigned kinds;
  KeyOption option;
};
constexpr BenchOption kBenchOptions[] = {
    {kAll, {"-m,--model,--model_path", "model.path"}},
    {kAll, {"--load_format", "model.load_format"}},
    {kOneGrid, {"--tp,--tensor_parallel_size,--tp_size", "grid.y"}},
    {kThroughput, {"--dp,--data_parallel_size", "grid.dp"}},
    {kGrids, {"--grids", "bench.grids"}},
    {kAll, {"--backend", "backend"}},
    {kAll, {"--dtype", "model.dtype"}},
    {kThroughput, {"--dataset,--dataset_name", "bench.dataset"}},
    {kThroughput, {"--dataset_path", "bench.dataset_path"}},
    {kThroughput, {"--num_prompts", "bench.num_prompts"}},
    {kBatches | kGrids, {"--batch_size", "bench.batch_size"}},
    {kSpeeds | kGrids, {"--input_len,--random_input_len", "bench.input_len"}},
    {kSpeeds | kGrids, {"--output_len,--random_output_len", "bench.output_len"}},
    {kThroughput, {"--range_ratio,--random_range_ratio", "bench.range_ratio"}},
    {kThroughput, {"--prefix_len,--random_prefix_len", "bench.prefix_len"}},
    {kThroughput, {"--num_prefixes", "bench.num_prefixes"}},
    {kThroughput, {"--n", "bench.n"}},
    {kBatches | kGrids, {"--num_iters", "bench.num_iters"}},
    {kSpeeds, {"--num_iters_warmup", "bench.num_iters_warmup"}},
    {kSpeeds, {"--temperature", "bench.temperature"}},
    {kSpeeds, {"--top_p", "bench.top_p"}},
    {kSpeeds, {"--top_k", "bench.top_k"}},
    {kSpeeds, {"--min_p", "bench.min_p"}},
    {kSpeeds, {"--repetition_penalty", "bench.repetition_penalty"}},
    {kSpeeds, {"--presence_penalty", "bench.presence_penalty"}},
    {kSpeeds, {"--frequency_penalty", "bench.frequency_penalty"}},
    {kSpeeds, {"--logprobs", "bench.logprobs"}},
    {kSpeeds, {"--seed", "bench.seed"}},
    {kSpeeds, {"--max_num_seqs,--max_running_requests", "scheduler.max_num_seqs"}},
    {kSpeeds | kGrids, {"--max_num_batched_tokens", "scheduler.max_num_batched_tokens"}},
    {kSpeeds,
     {"--disable_radix_cache,--no_enable_prefix_caching", "kv_cache.radix", "false",
      "do not share the KV pages of common prefixes"}},
    {kSpeeds,
     {"--disable_cascade_attn", "kv_cache.cascade", "false",
      "attention reads common prefixes for every sequence"}},
    {kSpeeds, {"--speculative_method", "speculative.method"}},
    {kSpeeds, {"--num_speculative_tokens", "speculative.num_speculative_tokens"}},
    {kSpeeds, {"--synthetic_acceptance_length", "speculative.synthetic_acceptance_length"}},
    {kAll, {"--gpu_memory_utilization,--mem_fraction_static", "kv_cache.gpu_memory_utilization"}},
    {kAll, {"--kv_cache_memory_bytes", "kv_cache.memory_bytes"}},
    {kSpeeds | kGrids, {"--cuda_graph_max_bs", "cuda_graph_max_bs"}},
    {kAll, {"--enforce_eager,--disable_cuda_graph", "enforce_eager", "true", "no CUDA graphs"}},
    {kAll, {"--output_json,--result_filename", "bench.output_json"}},
    {kSpeeds, {"--trace", "bench.trace"}},
};

// Workloads that are known by name.
struct Preset {
  unsigned kinds;
  const char* name;
  const char* help;
  std::vector<std::string> settings;
};
const Preset kPresets[] = {
    {kSpeeds,
     "seed-prefill",
     "40 prompts of 600 tokens, 1 new token",
     {"bench.num_prompts=40", "bench.batch_size=40", "bench.input_len=600", "bench.output_len=1",
      "bench.num_iters_warmup=2", "bench.num_iters=5"}},
    {kSpeeds,
     "seed-decode",
     "40 prompts of 600 tokens, 600 new tokens",
     {"bench.num_prompts=40", "bench.batch_size=40", "bench.input_len=600", "bench.output_len=600",
      "bench.num_iters_warmup=1", "bench.num_iters=3"}},
    {kSpeeds,
     "single",
     "a prompt of 600 tokens, 256 new tokens",
     {"bench.num_prompts=1", "bench.batch_size=1", "bench.input_len=600", "bench.output_len=256",
      "bench.num_iters_warmup=1", "bench.num_iters=3"}},
    {kSpeeds,
     "prefill",
     "8 prompts of 2048 tokens, 1 new token",
     {"bench.num_prompts=8", "bench.batch_size=8", "bench.input_len=2048", "bench.output_len=1",
      "bench.num_iters_warmup=2", "bench.num_iters=5"}},
    {kThroughput,
     "nano",
     "256 requests, 100 to 1024 tokens in and out, temperature 0.6 (nano-vllm's)",
     {"bench.dataset=nano", "bench.temperature=0.6"}},
    {kThroughput,
     "sampled",
     "nano's requests with what Qwen2.5 has by default: temperature 0.7, top_p 0.8, top_k 20, "
     "repetition_penalty 1.05",
     {"bench.dataset=nano", "bench.temperature=0.7", "bench.top_p=0.8", "bench.top_k=20",
      "bench.repetition_penalty=1.05"}},
    {kThroughput,
     "logprobs",
     "nano with the log-probabilities of each token and of the 5 likeliest",
     {"bench.dataset=nano", "bench.temperature=0.6", "bench.logprobs=5"}},
    {kThroughput,
     "shared-prefix",
     "512 requests: 4096 tokens in common, 64 of their own, 64 new",
     {"bench.dataset=shared-prefix", "bench.num_prompts=512", "bench.prefix_len=4096",
      "bench.input_len=64", "bench.output_len=64"}},
    {kThroughput,
     "shared-groups",
     "512 requests, 64 for each of 8 prefixes: 4096 tokens in common, 64 of their own, 64 new",
     {"bench.dataset=shared-prefix", "bench.num_prompts=512", "bench.num_prefixes=8",
      "bench.prefix_len=4096", "bench.input_len=64", "bench.output_len=64"}},
    {kThroughput,
     "choices",
     "32 prompts of 1024 tokens, 16 answers of 256 tokens for each, temperature 0.6",
     {"bench.num_prompts=32", "bench.n=16", "bench.input_len=1024", "bench.output_len=256",
      "bench.temperature=0.6"}},
};

const Kind& find_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const Kind& k : kKinds) {
    if (name == k.name) return k;
    names.emplace_back(k.name);
  }
  std::string near = nearest_name(name, names);
  fail_usage("bench: unknown kind {}{}", name,
             near.empty() ? "; --help lists the kinds" : fmt::format("; did you mean {}?", near));
}

const Preset& find_preset(const std::string& name, const Kind& kind) {
  std::string known;
  for (const Preset& p : kPresets) {
    if (!(p.kinds & kind.set)) continue;
    if (name == p.name) return p;
    known += (known.empty() ? "" : ", ") + std::string(p.name);
  }
  fail_usage("--preset: '{}' is not one of {}'s: {}", name, kind.name,
             known.empty() ? "none" : known);
}

int print_help() {
  fmt::print(
      "Measures speed, beside the floor that the device sets.\nUsage: litelang bench KIND OPTIONS\n"
      "\n");
  for (const Kind& k : kKinds) fmt::print("  {:<14} {}\n", k.name, k.help);
  fmt::print("\nWorkloads for --preset:\n");
  for (const Preset& p : kPresets) fmt::print("  {:<14} {}\n", p.name, p.help);
  fmt::print("\nlitelang bench KIND --help lists the options.\n");
  return static_cast<int>(ExitCode::kDone);
}

// Whether a model has nothing but its shape: no weights to read by mistake or on purpose.
bool is_shape_only(const std::filesystem::path& path) {
  std::error_code none;
  if (path.filename() == "config.json") return true;
  if (!std::filesystem::exists(path / "config.json", none)) return false;
  auto is_weights = [](const auto& file) { return file.path().extension() == ".safetensors"; };
  return std::none_of(std::filesystem::directory_iterator(path, none), {}, is_weights);
}

}  // namespace

int bench_command(const std::vector<std::string>& arguments) {
  if (arguments.empty()) fail_usage("bench: KIND is missing; --help lists the kinds");
  if (arguments[0] == "--help" || arguments[0] == "-h") return print_help();
  const Kind& kind = find_kind(arguments[0]);
  CLI::App app(fmt::format("Measures {}. Option names take - and _ alike.", kind.help),
               fmt::format("litelang bench {}", kind.name));
  std::string preset;
  int num_ranks = 0;
  std::vector<KeyOption> options;
  for (const BenchOption& o : kBenchOptions)
    if (o.kinds & kind.set) options.push_back(o.option);
  if (kind.set & kSpeeds)
    app.add_option("--preset", preset, "a workload by name; bench --help lists them")
        ->type_name("");
  if (kind.set == kGrids)
    app.add_option("-n,--gpus,--ranks", num_ranks, "ranks, where no grids are named")
        ->type_name("");
  auto job = parse_job(app, options, {arguments.begin() + 1, arguments.end()}, kind.defaults);
  if (!job) return static_cast<int>(ExitCode::kDone);
  std::vector<std::string> first = {"job.type=bench", fmt::format("bench.kind={}", kind.name)};
  auto add = [&](const std::vector<std::string>& settings) {
    first.insert(first.end(), settings.begin(), settings.end());
  };
  // What stands in a configuration file is what its writer wants.
  if (job->config.empty()) add(kind.defaults);
  if (!preset.empty()) add(find_preset(preset, kind).settings);
  if (value_of(job->overrides, "model.load_format").empty() &&
      is_shape_only(value_of(job->overrides, "model.path")))
    add({"model.load_format=dummy"});
  job->overrides.insert(job->overrides.begin(), first.begin(), first.end());
  return run_job_command(*job, num_ranks);
}

}  // namespace ll
