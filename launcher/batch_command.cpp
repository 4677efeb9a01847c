#include "launcher/batch_command.h"

#include <CLI/CLI.hpp>
#include <array>
#include <optional>

#include "kernels/check.h"
#include "launcher/child_process.h"
#include "launcher/config_file.h"
#include "launcher/mpirun_command.h"
#include "launcher/options.h"
#include "runtime/engine_config.h"

namespace ll {
namespace {

// An option that stands for a key of the configuration.
struct KeyOption {
  const char* names;
  const char* key;
  const char* help;
};
constexpr std::array kKeyOptions = {
    KeyOption{"-m,--model,--model_path", "model.path", "weight file (.h5) or Hugging Face folder"},
    KeyOption{"-i,--input", "job.input", "requests, one JSON object a line; - is standard input"},
    KeyOption{"-o,--output", "job.output", "answers, one a line; - is standard output"},
    KeyOption{"--tp", "grid.y", "tensor-parallel ranks, default 1"},
    KeyOption{"--backend", "backend", "auto, cuda or cpu"},
    KeyOption{"--dtype", "model.dtype", "auto, bfloat16 or float32"},
    KeyOption{"--mem_usage", "kv_cache.gpu_memory_utilization", "share of the GPU's memory to use"},
    KeyOption{"--use_radix_cache", "kv_cache.radix", "share common prefixes, true or false"},
    KeyOption{"--max_batch_size", "scheduler.max_num_seqs", "sequences that run at the same time"},
    KeyOption{"--max_input_length", "scheduler.max_input_length", "longest prompt, in tokens"},
    KeyOption{"--max_output_length", "scheduler.max_output_length", "longest answer, in tokens"},
    KeyOption{"--max_reqs", "scheduler.max_waiting", "requests read ahead"},
    KeyOption{"--busy_scale", "scheduler.busy_scale",
              "share of the KV cache in use up to which admission is optimistic"},
};

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  bool prints_command = false;
};

std::optional<Arguments> parse(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Answers a file of requests (OpenAI's batch format). Option names take - and _ alike.",
      "litelang batch");
  Arguments a;
  std::array<std::string, kKeyOptions.size()> values;
  std::array<CLI::Option*, kKeyOptions.size()> options;
  std::vector<std::string> sets;
  bool overwrite = false;
  for (size_t i = 0; i < values.size(); ++i)
    options[i] = app.add_option(kKeyOptions[i].names, values[i], kKeyOptions[i].help)
                     ->type_name("")
                     ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("--overwrite", overwrite, "replace the output file");
  app.add_option("--config", a.config, "YAML file below these options; see configs/reference.yaml")
      ->type_name("FILE");
  app.add_option("--set", sets, "key.path=value, over all others; may be repeated")
      ->type_name("")
      ->allow_extra_args(false);
  app.add_flag("--print_command", a.prints_command, "print the mpirun command, run nothing");
  if (!parse_options(app, arguments)) return std::nullopt;
  for (size_t i = 0; i < values.size(); ++i)
    if (options[i]->count() > 0)
      a.overrides.push_back(std::string(kKeyOptions[i].key) + "=" + values[i]);
  if (overwrite) a.overrides.emplace_back("job.overwrite=true");
  a.overrides.insert(a.overrides.end(), sets.begin(), sets.end());
  return a;
}

}  // namespace

int batch_command(const std::vector<std::string>& arguments) {
  auto a = parse(arguments);
  if (!a) return static_cast<int>(ExitCode::kDone);
  // Read here too: what is wrong with it shows at once, and it tells how many ranks to start.
  auto config = EngineConfig::from_yaml(read_config_file(a->config),
                                        a->config.empty() ? "--model" : a->config, a->overrides);
  const int num_ranks = config.grid ? config.grid->num_ranks() : 1;
  std::vector<std::string> program = {program_beside("litelang-run")};
  if (!a->config.empty()) program.push_back(a->config);
  for (const std::string& o : a->overrides) program.insert(program.end(), {"--set", o});
  auto command = mpirun_command(num_ranks, program);
  if (a->prints_command) {
    fmt::print("{}\n", shell_quoted(command));
    return static_cast<int>(ExitCode::kDone);
  }
  return run_child(command, config.job.input == "-" ? ChildInput::kInherited : ChildInput::kNone);
}

}  // namespace ll
