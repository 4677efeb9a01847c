#include "runtime/config/engine_rows.h"

#include "base/check.h"
#include "kernels/ops.h"

namespace ll {
namespace {

using C = EngineConfig;

void append(std::vector<ConfigRow>& to, std::vector<ConfigRow> rows) {
  to.insert(to.end(), rows.begin(), rows.end());
}

std::vector<ConfigRow> model_rows() {
  using M = ModelOptions;
  return rows_of<M>(
      "model", [](C& c) -> M& { return c.model; },
      {{"path", text(&M::path),
        "required: a weight file (.h5) of litelang-convert, or a Hugging Face folder"},
       {"load_format", choice(&M::load_format,
                              {{"hdf5", M::LoadFormat::kWeights, "the weights (of a folder, too)"},
                               {"dummy", M::LoadFormat::kDummy,
                                "random ones for speed tests, config.json is enough"}})},
       {"dtype", choice(&M::dtype, {{"auto", std::nullopt, "the file's"},
                                    {"bfloat16", DType::bf16},
                                    {"float32", DType::f32}})},
       {"seed", whole(&M::seed, 0, INT64_MAX), "of dummy weights"},
       {"verify", flag(&M::verify),
        "refuse a weight file whose chunks are not what was converted, as far as a rank reads "
        "whole chunks"}});
}

// A map, or the word auto; a key of the map makes a shape of what was none.
std::vector<ConfigRow> grid_rows() {
  using G = GridShape;
  constexpr int64_t kMaxExtent = 4096;
  auto rows = rows_of<C>(
      "", [](C& c) -> C& { return c; },
      {{"grid", choice(&C::grid, {{"auto", std::nullopt,
                                   "what `litelang plan` would choose; or the map below, whose "
                                   "product is the number of ranks (docs/parallel.md)"}})}});
  append(rows,
         rows_of<G>(
             "grid", [](C& c) -> G& { return c.grid ? *c.grid : c.grid.emplace(); },
             {{"dp", whole(&G::dp, 1, kMaxExtent), "replicas of the model"},
              {"x", whole(&G::x, 1, kMaxExtent), "parts of the hidden dimension"},
              {"y", whole(&G::y, 1, kMaxExtent), "tensor-parallel ranks: parts of heads and FFN"},
              {"z", whole(&G::z, 1, kMaxExtent),
               "parts of a large step's tokens: y * z columns hold the model, z of them "
               "gather each other's weights"},
              {"heads", whole(&G::heads, 0, kMaxExtent),
               "head groups, of y * z / heads columns that share their KV positions; 0: one "
               "a column"}}));
  append(rows, rows_of<C>(
                   "grid", [](C& c) -> C& { return c; },
                   {{"gather_tokens", whole(&C::gather_tokens, 0, kMany),
                     "tokens from which a step gathers weights (z > 1); 0: where it is expected to "
                     "pay"}}));
  return rows;
}

std::vector<ConfigRow> kv_cache_rows() {
  using K = C::KvCache;
  auto rows = rows_of<K>(
      "kv_cache", [](C& c) -> K& { return c.kv_cache; },
      {{"page_size", whole(&K::page_size, 1, 65536), "positions of a page; CUDA knows 64 only"},
       {"memory_bytes", bytes(&K::memory_bytes),
        "of each rank, as 6GB or 6GiB; 0: what is free, within the next key"},
       {"gpu_memory_utilization", number(&K::gpu_memory_utilization, 0.01, 1),
        "share of a GPU's memory for weights, buffers and KV cache"},
       {"radix", flag(&K::radix), "share the KV pages of common prefixes"},
       {"cascade", flag(&K::cascade),
        "attention reads pages that sequences share once for all of them, where that pays; CUDA"},
       {"eviction", only_choice<K>("lru"),
        "what leaves the radix cache first: the least recently used"}});
  return rows;
}

std::vector<ConfigRow> scheduler_rows() {
  using S = C::Scheduler;
  return rows_of<S>(
      "scheduler", [](C& c) -> S& { return c.scheduler; },
      {{"max_num_seqs", whole(&S::max_num_seqs, 0, 65536),
        "sequences that run at the same time; 0: 256, on GPUs with the memory for it 512 or 1024; "
        "CUDA: at most 4096"},
       {"max_num_batched_tokens", whole(&S::max_num_batched_tokens, 1, kMany),
        "tokens of one step: prompts and answers together; a one-batch benchmark sets it to what "
        "its prompts need"},
       {"chunked_prefill", flag(&S::chunked_prefill),
        "cut long prompts into the steps of running answers"},
       {"async", flag(&S::async), "plan a step while the one before it runs"},
       {"max_input_length", whole(&S::max_input_length, 0, kMany),
        "longest prompt in tokens; 0: the model's limit"},
       {"max_output_length", whole(&S::max_output_length, 0, kMany),
        "longest answer in tokens; 0: the model's limit"},
       {"max_waiting", whole(&S::max_waiting, 1, kMany), "requests read ahead of those that run"},
       {"busy_scale", number(&S::busy_scale, 0, 1),
        "below this share of KV in use, expect 0.6 of each remaining length and admit more"}});
}

std::vector<ConfigRow> speculative_rows() {
  using S = C::Speculative;
  return rows_of<S>(
      "speculative", [](C& c) -> S& { return c.speculative; },
      {{"method",
        choice(&S::method, {{"none", S::Method::kNone, "a step draws a token of each sequence"},
                            {"ngram", S::Method::kNgram,
                             "drafts from what was said before, which answers do not depend on"}})},
       {"num_speculative_tokens", whole(&S::num_speculative_tokens, 1, 31),
        "the most drafts of a sequence in a step; a step has at most 64"},
       {"prompt_lookup_min", whole(&S::prompt_lookup_min, 1, kLongestMatch),
        "tokens that agree before a draft, at least"},
       {"prompt_lookup_max", whole(&S::prompt_lookup_max, 1, kLongestMatch),
        "tokens that are compared, the more of them agree the better"},
       {"adaptive", flag(&S::adaptive), "fewer drafts, or none, where those do not pay"},
       {"synthetic_acceptance_length", number(&S::synthetic_acceptance_length, 0, 32),
        "for benchmarks: tokens of a sequence that stand in a step on average, whatever is drawn; "
        "0: those that do"}});
}

std::vector<ConfigRow> machine_rows() {
  return rows_of<C>(
      "", [](C& c) -> C& { return c; },
      {{"backend",
        choice(&C::backend, {{"auto", C::BackendChoice::kAuto, "cuda if every rank has a GPU"},
                             {"cpu", C::BackendChoice::kCpu},
                             {"cuda", C::BackendChoice::kCuda}})},
       {"threads", whole(&C::threads, 0, 4096),
        "of a CPU rank; 0: the processors it may use, shared with the host's other ranks"},
       {"cuda_graph_max_bs", whole(&C::cuda_graph_max_bs, 0, 4096),
        "decode steps of up to so many sequences replay a CUDA graph; 0: none"},
       {"enforce_eager", flag(&C::enforce_eager), "true: no CUDA graphs at all"},
       {"load_threads", whole(&C::load_threads, 1, 64), "of a rank that read weights"},
       {"step_timeout_s", whole(&C::step_timeout_s, 0, 1'000'000),
        "a step that takes longer ends the job: a rank is stuck; 0: never"},
       {"record_plan", text(&C::record_plan),
        "file for the plans of all steps and the tokens they draw; FILE.1 for the second replica"},
       {"replay_plan", text(&C::replay_plan),
        "run the plans of such a file and compare the tokens, in the place of a job"},
       {"seed", whole(&C::seed, 0, INT64_MAX), "of requests that bring none"}});
}

void check_engine(const EngineConfig& c, std::string_view where) {
  if (!c.record_plan.empty() && !c.replay_plan.empty())
    fail_usage("{}: record_plan and replay_plan do not go together", where);
  const C::Speculative& drafts = c.speculative;
  if (drafts.prompt_lookup_min > drafts.prompt_lookup_max)
    fail_usage("{}: speculative.prompt_lookup_min = {} is above speculative.prompt_lookup_max = {}",
               where, drafts.prompt_lookup_min, drafts.prompt_lookup_max);
  if (drafts.synthetic_acceptance_length > 0 &&
      (!drafts.is_on() || c.job.type != C::JobType::kBench))
    fail_usage(
        "{}: speculative.synthetic_acceptance_length is of benchmarks with speculative.method",
        where);
  if (c.model.path.empty())
    fail_usage("{}: model.path is missing; give a .h5 file or a Hugging Face folder", where);
  if (c.scheduler.max_num_batched_tokens < c.scheduler.max_num_seqs)
    fail_usage(
        "{}: scheduler.max_num_batched_tokens = {} is below scheduler.max_num_seqs = {}; every "
        "running sequence needs one token a step",
        where, c.scheduler.max_num_batched_tokens, c.scheduler.max_num_seqs);
}

}  // namespace

ConfigSection engine_rows() {
  ConfigSection section{.rows = model_rows(), .check = check_engine};
  for (auto rows : {machine_rows, grid_rows, kv_cache_rows, scheduler_rows, speculative_rows})
    append(section.rows, rows());
  return section;
}

}  // namespace ll
