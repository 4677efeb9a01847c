#include "launcher/job_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "launcher/child_process.h"
#include "launcher/config_file.h"
#include "launcher/mpirun_command.h"
#include "launcher/options.h"
#include "runtime/job_config.h"

namespace ll {
namespace {

std::string where(const JobArguments& a) { return a.config.empty() ? "--model" : a.config; }

// What the key's row says of it, and its default.
std::string help_of(const KeyOption& option, const std::vector<std::string>& defaults) {
  const ConfigRow& row = job_key(option.key);
  if (option.flag_value) return option.help ? option.help : row.help;
  std::string value = value_of(defaults, row.key);
  if (value.empty()) value = row.default_text;
  return fmt::format("{}{}", option.help ? option.help : row.help,
                     value.empty() ? "" : fmt::format(" [{}]", value));
}

// Of "-", and of the names that the system and shells have for open descriptors.
std::optional<int> descriptor_of(const std::string& path) {
  if (path == "-" || path == "/dev/stdin") return STDIN_FILENO;
  for (std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    int fd = -1;
    const char* end = path.data() + path.size();
    auto [stop, error] = std::from_chars(path.data() + folder.size(), end, fd);
    if (error == std::errc() && stop == end && fd >= 0) return fd;
  }
  return std::nullopt;
}

}  // namespace

std::string value_of(const std::vector<std::string>& settings, const std::string& key) {
  std::string value;
  for (const std::string& s : settings)
    if (s.starts_with(key + "=")) value = s.substr(key.size() + 1);
  return value;
}

std::optional<JobArguments> parse_job(CLI::App& app, std::span<const KeyOption> options,
                                      const std::vector<std::string>& arguments,
                                      const std::vector<std::string>& defaults) {
  JobArguments a;
  std::vector<std::string> values(options.size()), sets;
  std::vector<CLI::Option*> given;
  for (size_t i = 0; i < options.size(); ++i) {
    const KeyOption& o = options[i];
    const std::string& help = help_of(o, defaults);
    given.push_back(o.flag_value ? app.add_flag(o.names, help)
                                 : app.add_option(o.names, values[i], help)
                                       ->type_name("")
                                       ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast));
  }
  app.add_option("--config", a.config, "YAML file below these options; see configs/reference.yaml")
      ->type_name("FILE");
  app.add_option("--set", sets, "key.path=value, over all others; may be repeated")
      ->type_name("")
      ->allow_extra_args(false);
  app.add_flag("--print_command", a.prints_command, "print the mpirun command, run nothing");
  if (!parse_options(app, arguments)) return std::nullopt;
  for (size_t i = 0; i < options.size(); ++i) {
    const char* flag_value = options[i].flag_value;
    if (given[i]->count() > 0)
      a.overrides.push_back(
          fmt::format("{}={}", options[i].key, flag_value ? std::string(flag_value) : values[i]));
  }
  a.overrides.insert(a.overrides.end(), sets.begin(), sets.end());
  return a;
}

int run_job_command(const JobArguments& a, int num_ranks) {
  // Read here too: what is wrong with it shows at once, and it tells how many ranks to start.
  auto config = read_job_config(read_config_file(a.config), where(a), a.overrides);
  if (num_ranks == 0 && !config.bench.grids.empty()) num_ranks = config.bench.grids[0].num_ranks();
  if (num_ranks == 0) num_ranks = config.grid ? config.grid->num_ranks() : 1;
  std::vector<std::string> overrides = a.overrides;
  std::vector<std::string> program = {program_beside("litelang-run")};
  if (!a.config.empty()) program.push_back(a.config);
  // mpirun closes all descriptors but the standard ones, so the rank reads this one as its input.
  std::optional<int> input = descriptor_of(config.job.input);
  bool is_open = !input || ::fcntl(*input, F_GETFD) >= 0;
  check(is_open, "{}: cannot open: {}; check job.input", config.job.input, std::strerror(errno));
  if (input && config.job.input != "-") overrides.emplace_back("job.input=-");
  for (const std::string& o : overrides) program.insert(program.end(), {"--set", o});
  check(descriptor_of(config.job.output).value_or(STDOUT_FILENO) <= STDERR_FILENO,
        "{}: mpirun hands no descriptors on; give - as output and pipe it on", config.job.output);
  auto command = mpirun_command(num_ranks, program);
  if (a.prints_command) {
    fmt::print("{}\n", shell_quoted(command));
    return static_cast<int>(ExitCode::kDone);
  }
  return run_child(command, input.value_or(kNoInput));
}

}  // namespace ll
