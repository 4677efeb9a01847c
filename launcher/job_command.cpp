#include "launcher/job_command.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "base/write_all.h"
#include "launcher/answer_pipe.h"
#include "launcher/child_process.h"
#include "launcher/config_file.h"
#include "launcher/exit_code.h"
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

// The descriptor that "-" stands for, which is `standard`, or a name that the system and shells
// have for an open one.
std::optional<int> descriptor_of(const std::string& path, int standard) {
  if (path == "-") return standard;
  if (path == "/dev/stdin") return STDIN_FILENO;
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    int fd = -1;
    const char* end = path.data() + path.size();
    auto [stop, error] = std::from_chars(path.data() + folder.size(), end, fd);
    if (error == std::errc() && stop == end && fd >= 0) return fd;
  }
  return std::nullopt;
}

void check_open(std::optional<int> fd, const std::string& path, const char* key) {
  bool is_open = !fd || ::fcntl(*fd, F_GETFD) >= 0;
  std::string name = path != "-"           ? path
                     : *fd == STDIN_FILENO ? "standard input"
                                           : "standard output";
  check(is_open, "{}: cannot open: {}; check {}", name, std::strerror(errno), key);
}

// A configuration, as a file that the ranks of this host can open as often as they like: what a
// shell makes of <(command) can be read only once, and here.
class SharedConfig {
 public:
  SharedConfig(const std::string& path, const std::string& text) : path_(path) {
    std::error_code none;
    if (path.empty() || std::filesystem::is_regular_file(path, none)) return;
    fd_ = ::memfd_create("litelang configuration", MFD_CLOEXEC);
    bool is_written = fd_ >= 0 && write_all(fd_, text);
    check(is_written, "{}: cannot be handed on: {}", path, std::strerror(errno));
    path_ = fmt::format("/proc/{}/fd/{}", ::getpid(), fd_);
  }
  ~SharedConfig() {
    if (fd_ >= 0) ::close(fd_);
  }
  SharedConfig(const SharedConfig&) = delete;
  SharedConfig& operator=(const SharedConfig&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_ = -1;
};

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
  std::string text = read_config_file(a.config);
  auto config = read_job_config(text, where(a), a.overrides);
  if (num_ranks == 0 && !config.bench.grids.empty()) num_ranks = config.bench.grids[0].num_ranks();
  if (num_ranks == 0) num_ranks = config.grid ? config.grid->num_ranks() : 1;
  // mpirun closes all descriptors but the standard ones: the rank reads this one as its input, and
  // what it writes comes back through a pipe.
  auto input = descriptor_of(config.job.input, STDIN_FILENO),
       output = descriptor_of(config.job.output, STDOUT_FILENO);
  check_open(input, config.job.input, "job.input");
  check_open(output, config.job.output, "job.output");
  SharedConfig shared(a.config, text);
  std::vector<std::string> overrides = a.overrides, program = {program_beside("litelang-run")};
  if (!a.config.empty()) program.push_back(shared.path());
  if (input && config.job.input != "-") overrides.emplace_back("job.input=-");
  if (output && config.job.output != "-") overrides.emplace_back("job.output=-");
  for (const std::string& o : overrides) program.insert(program.end(), {"--set", o});
  auto command = mpirun_command(num_ranks, program);
  if (a.prints_command) {
    fmt::print("{}\n", shell_quoted(command));
    return static_cast<int>(ExitCode::kDone);
  }
  std::optional<AnswerPipe> answers;
  if (output)
    answers.emplace(*output, *output == STDOUT_FILENO ? "standard output" : config.job.output);
  // At SIGUSR1 the ranks of a batch stop so that they can be gone on with, those of a server when
  // their requests have ended; one that does not listen yet ends at once, as it has begun nothing.
  // mpirun hands the signal on, but not on every machine: those of this host are told besides, and
  // to be told again does them no harm. At a SIGTERM of its own mpirun would kill them.
  bool is_server = config.job.type == JobType::kServe;
  int soft_end = config.job.type == JobType::kBench ? SIGTERM : SIGUSR1;
  int code =
      explained_exit(run_child(command, input.value_or(kNoInput), program[0], soft_end, is_server));
  bool are_written = !answers || answers->finish();
  return are_written ? code : static_cast<int>(ExitCode::kError);
}

}  // namespace ll
