#pragma once
// Commands of the front that run litelang-run under mpirun: options stand for keys of the
// configuration.
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ll {

struct KeyOption {
  const char* names;
  const char* key;
  const char* flag_value = nullptr;  // the key's value when the option, a flag, is given
  const char* help = nullptr;        // where it is another than the key's
};

struct JobArguments {
  std::string config;                  // a YAML file, or empty
  std::vector<std::string> overrides;  // key=value: options, then --set
  bool prints_command = false;
};

// Adds the options, --config, --set and --print_command to the app and reads the arguments; nothing
// when the user asked for help, which shows `defaults`, "key=value", in the place of the keys' own.
// Throws Error (usage).
std::optional<JobArguments> parse_job(CLI::App& app, std::span<const KeyOption> options,
                                      const std::vector<std::string>& arguments,
                                      const std::vector<std::string>& defaults = {});

// What the last of the settings, "key=value", says of a key; empty: none does.
std::string value_of(const std::vector<std::string>& settings, const std::string& key);

// Runs the job on `num_ranks` ranks, or (0) as many as its grid has; returns its exit code. Throws
// Error for what is wrong with the configuration, before anything starts.
int run_job_command(const JobArguments& arguments, int num_ranks = 0);

}  // namespace ll
