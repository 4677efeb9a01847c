#include "launcher/batch_command.h"

#include <CLI/CLI.hpp>

#include "base/check.h"
#include "launcher/job_command.h"

namespace ll {
namespace {

constexpr KeyOption kBatchOptions[] = {
    {"-m,--model,--model_path", "model.path"},
    {"-i,--input", "job.input"},
    {"-o,--output", "job.output"},
    {"--tp", "grid.y"},
    {"--backend", "backend"},
    {"--dtype", "model.dtype"},
    {"--mem_usage", "kv_cache.gpu_memory_utilization"},
    {"--use_radix_cache", "kv_cache.radix"},
    {"--max_batch_size", "scheduler.max_num_seqs"},
    {"--max_input_length", "scheduler.max_input_length"},
    {"--max_output_length", "scheduler.max_output_length"},
    {"--max_reqs", "scheduler.max_waiting"},
    {"--busy_scale", "scheduler.busy_scale"},
    {"--overwrite", "job.overwrite", "true"},
};

}  // namespace

int batch_command(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Answers a file of requests (OpenAI's batch format). Option names take - and _ alike.",
      "litelang batch");
  auto job = parse_job(app, kBatchOptions, arguments);
  return job ? run_job_command(*job) : static_cast<int>(ExitCode::kDone);
}

}  // namespace ll
