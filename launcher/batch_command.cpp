#include "launcher/batch_command.h"

#include <CLI/CLI.hpp>

#include "base/check.h"
#include "launcher/job_command.h"

namespace ll {
namespace {

constexpr KeyOption kOptions[] = {
    {"-m,--model,--model_path", "model.path", "weight file (.h5) or Hugging Face folder"},
    {"-i,--input", "job.input", "requests, one JSON object a line; - is standard input"},
    {"-o,--output", "job.output", "answers, one a line; - is standard output"},
    {"--tp", "grid.y", "tensor-parallel ranks, default 1"},
    {"--backend", "backend", "auto, cuda or cpu"},
    {"--dtype", "model.dtype", "auto, bfloat16 or float32"},
    {"--mem_usage", "kv_cache.gpu_memory_utilization", "share of the GPU's memory to use"},
    {"--use_radix_cache", "kv_cache.radix", "share common prefixes, true or false"},
    {"--max_batch_size", "scheduler.max_num_seqs", "sequences that run at the same time"},
    {"--max_input_length", "scheduler.max_input_length", "longest prompt, in tokens"},
    {"--max_output_length", "scheduler.max_output_length", "longest answer, in tokens"},
    {"--max_reqs", "scheduler.max_waiting", "requests read ahead"},
    {"--busy_scale", "scheduler.busy_scale",
     "share of the KV cache in use up to which admission is optimistic"},
    {"--overwrite", "job.overwrite", "replace the output file", "true"},
};

}  // namespace

int batch_command(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Answers a file of requests (OpenAI's batch format). Option names take - and _ alike.",
      "litelang batch");
  auto job = parse_job(app, kOptions, arguments);
  return job ? run_job_command(*job) : static_cast<int>(ExitCode::kDone);
}

}  // namespace ll
