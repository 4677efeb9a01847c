#include "launcher/serve_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

#include "base/check.h"
#include "launcher/job_command.h"

namespace ll {
namespace {

constexpr KeyOption kServeOptions[] = {
    {"-m,--model,--model_path", "model.path"},
    {"--host", "server.host"},
    {"--port", "server.port"},
    {"--tp,--tensor_parallel_size", "grid.y"},
    {"--dp,--data_parallel_size", "grid.dp"},
    {"--backend", "backend"},
    {"--dtype", "model.dtype"},
    {"--mem_usage,--gpu_memory_utilization", "kv_cache.gpu_memory_utilization"},
    {"--use_radix_cache", "kv_cache.radix"},
    {"--max_batch_size,--max_num_seqs", "scheduler.max_num_seqs"},
    {"--max_input_length", "scheduler.max_input_length"},
    {"--max_output_length", "scheduler.max_output_length"},
    {"--max_reqs", "scheduler.max_waiting", nullptr,
     "requests that may wait; more are refused with 429"},
    {"--busy_scale", "scheduler.busy_scale"},
    {"--served_model_name", "server.served_model_name"},
    {"--api_key_file", "server.api_key_file"},
    {"--endpoint_file", "server.endpoint_file"},
    {"--shutdown_timeout", "server.shutdown_timeout_s"},
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Values as the original's command line takes them: True, 1 and yes; 1000.0 requests.
std::string as_configured(const std::string& setting) {
  size_t at = setting.find('=');
  std::string key = setting.substr(0, at), value = setting.substr(at + 1);
  if (key == "kv_cache.radix")
    for (const char* yes : {"true", "t", "1", "yes", "y", "on"})
      if (lower(value) == yes) return key + "=true";
  if (key == "kv_cache.radix")
    for (const char* no : {"false", "f", "0", "no", "n", "off"})
      if (lower(value) == no) return key + "=false";
  if (key == "scheduler.max_waiting")
    if (size_t dot = value.find('.');
        dot != std::string::npos && value.find_first_not_of('0', dot + 1) == std::string::npos)
      return key + "=" + value.substr(0, dot);
  return setting;
}

}  // namespace

int serve_command(const std::vector<std::string>& arguments) {
  CLI::App app("Serves a model to OpenAI's clients. Option names take - and _ alike.",
               "litelang serve");
  auto job = parse_job(app, kServeOptions, arguments);
  if (!job) return static_cast<int>(ExitCode::kDone);
  for (std::string& setting : job->overrides) setting = as_configured(setting);
  job->overrides.insert(job->overrides.begin(), "job.type=serve");
  return run_job_command(*job);
}

}  // namespace ll
