#include "runtime/bench/bench_rows.h"

#include <algorithm>

#include "base/check.h"

namespace ll {
namespace {

using Kind = BenchOptions::Kind;
using Dataset = DatasetOptions::Kind;

std::vector<ConfigRow> kind_rows() {
  using B = BenchOptions;
  return rows_of<B>("bench", [](EngineConfig& c) -> B& { return c.bench; },
                    {{"kind",
                      choice(&B::kind, {{"throughput", Kind::kThroughput},
                                        {"latency", Kind::kLatency},
                                        {"one-batch", Kind::kOneBatch},
                                        {"startup", Kind::kStartup},
                                        {"grids", Kind::kGrids}}),
                      "what to measure"}});
}

std::vector<ConfigRow> dataset_rows() {
  using D = DatasetOptions;
  return rows_of<D>(
      "bench", [](EngineConfig& c) -> D& { return c.bench.data; },
      {{"dataset",
        choice(&D::kind, {{"random", Dataset::kRandom},
                          {"nano", Dataset::kNano},
                          {"shared-prefix", Dataset::kSharedPrefix},
                          {"jsonl", Dataset::kFile}}),
        "of throughput"},
       {"dataset_path", text(&D::path),
        "of jsonl: a file with {\"input_ids\": [...], \"output_tokens\": N} a line"},
       {"num_prompts", whole(&D::num_prompts, 1, kMany), "requests; of nano 256, unless given"},
       {"input_len", whole(&D::input_len, 1, kMany),
        "tokens of a prompt, besides a shared prefix; nano: 100 to 1024, as the output"},
       {"output_len", whole(&D::output_len, 1, kMany),
        "tokens of an answer; of grids: decode steps that are measured"},
       {"range_ratio", number(&D::range_ratio, 0, 1),
        "random lengths vary by this share in both directions"},
       {"prefix_len", whole(&D::prefix_len, 0, kMany),
        "of shared-prefix: tokens that prompts have in common"},
       {"num_prefixes", whole(&D::num_prefixes, 1, kMany),
        "of shared-prefix: different ones, which the prompts begin with in turn"},
       {"n", whole(&D::n, 1, 16384), "of throughput: answers of a prompt"},
       {"seed", whole(&D::seed, 0, INT64_MAX), "of the prompts"}});
}

std::vector<ConfigRow> run_rows() {
  using B = BenchOptions;
  return rows_of<B>(
      "bench", [](EngineConfig& c) -> B& { return c.bench; },
      {{"batch_size", whole(&B::batch_size, 1, 65536),
        "sequences of the batch of latency, one-batch and grids"},
       {"num_iters", whole(&B::num_iters, 0, kMany),
        "measured runs of latency, one-batch and grids; 0: 30, 1 and 5"},
       {"num_iters_warmup", whole(&B::num_iters_warmup, 0, kMany),
        "runs before the measured ones; 0: none"},
       {"grids",
        {.read = [](B& b, const std::string& text) { b.grids = parse_grids(text); },
         .print = [](const B&) { return std::string(); }},
        "of grids: those to measure, as \"y=2;x=2;y=2,heads=1;dp=2\"; empty: all that fit"},
       {"output_json", text(&B::output_json), "a file for the results as JSON"},
       {"trace", text(&B::trace),
        "a file for a timeline of the device's steps (chrome://tracing, Perfetto)"},
       {"trace_steps", whole(&B::trace_steps, 2, 100000), "steps in it"}});
}

std::vector<ConfigRow> draw_rows() {
  using S = BenchSampling;
  return rows_of<S>(
      "bench", [](EngineConfig& c) -> S& { return c.bench.sampling; },
      {{"temperature", number(&S::temperature, 0, 100), "of every request; 0: greedy"},
       {"top_p", number(&S::top_p, 0, 1), "of every request; 1: off"},
       {"top_k", whole(&S::top_k, 0, kMany), "of every request; 0: off"},
       {"min_p", number(&S::min_p, 0, 1), "of every request; 0: off"},
       {"repetition_penalty", number(&S::repetition_penalty, 0.01, 100),
        "of every request; 1: off"},
       {"presence_penalty", number(&S::presence_penalty, -2, 2), "of every request; 0: off"},
       {"frequency_penalty", number(&S::frequency_penalty, -2, 2), "of every request; 0: off"},
       {"logprobs", whole(&S::logprobs, -1, 20),
        "log-probabilities of every token drawn and of this many of the likeliest; -1: none"}});
}

// A step of prompts has at least one, and all that runs is what is measured.
void fit_to_grids(EngineConfig& c, const GivenKeys& given) {
  auto& s = c.scheduler;
  int64_t length = c.bench.data.input_len, batch = c.bench.batch_size;
  if (!given.contains("scheduler.max_num_batched_tokens"))
    s.max_num_batched_tokens =
        static_cast<int>(std::max({int64_t{s.max_num_batched_tokens}, length, batch}));
  if (!given.contains("scheduler.max_num_seqs"))
    s.max_num_seqs = static_cast<int>(std::max(batch, s.max_num_batched_tokens / length));
}

constexpr int kBatchSeqs = 256;  // of a measured batch, at least

// A batch that is measured runs as one, with its prompts in one step where a step is what is
// measured, unless the user says otherwise.
void fit_to_bench(EngineConfig& c, const GivenKeys& given) {
  bool is_one_batch = c.bench.kind == Kind::kOneBatch;
  if (c.job.type != JobType::kBench) return;
  if (c.bench.data.kind == Dataset::kNano && !given.contains("bench.num_prompts"))
    c.bench.data.num_prompts = kNanoPrompts;
  if (c.bench.kind == Kind::kGrids) return fit_to_grids(c, given);
  if (!is_one_batch && c.bench.kind != Kind::kLatency) return;
  auto& s = c.scheduler;
  if (!given.contains("scheduler.max_num_seqs"))
    s.max_num_seqs = std::max(kBatchSeqs, c.bench.batch_size);
  if (given.contains("scheduler.max_num_batched_tokens")) return;
  int64_t prompts =
      is_one_batch ? c.bench.batch_size * c.bench.data.input_len : s.max_num_batched_tokens;
  s.max_num_batched_tokens = static_cast<int>(std::clamp<int64_t>(prompts, s.max_num_seqs, kMany));
}

void check_bench(const EngineConfig& c, std::string_view where) {
  if (c.job.type != JobType::kBench) return;
  if (c.bench.kind != Kind::kThroughput && c.bench.data.kind != Dataset::kRandom)
    fail_usage("{}: bench.dataset is of throughput; the other kinds run random prompts", where);
  if (c.bench.kind == Kind::kGrids && c.grid)
    fail_usage("{}: grid is not of bench.kind grids, which runs on those of bench.grids", where);
  if (c.bench.kind != Kind::kGrids && !c.bench.grids.empty())
    fail_usage("{}: bench.grids is of bench.kind grids", where);
  if (c.bench.data.kind == Dataset::kFile && c.bench.data.path.empty())
    fail_usage("{}: bench.dataset_path is missing; give a JSONL file", where);
}

}  // namespace

ConfigSection bench_rows() {
  ConfigSection section{.rows = kind_rows(), .fit = fit_to_bench, .check = check_bench};
  for (auto rows : {dataset_rows, draw_rows, run_rows})
    for (ConfigRow& row : rows()) section.rows.push_back(std::move(row));
  return section;
}

}  // namespace ll
