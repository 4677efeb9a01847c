// litelang COMMAND ...: the program a person types. It starts the others.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "base/check.h"
#include "base/exception_text.h"
#include "base/home_folder.h"
#include "base/nearest_name.h"
#include "launcher/batch_command.h"
#include "launcher/bench_command.h"
#include "launcher/child_process.h"
#include "launcher/plan_command.h"
#include "launcher/render_command.h"
#include "launcher/rerun_command.h"
#include "launcher/serve_command.h"
#include "launcher/tokenize_command.h"
#include "launcher/verify_command.h"
#include "launcher/version_report.h"
#include "runtime/version.h"

namespace {

using Arguments = std::vector<std::string>;

int convert_command(const Arguments& arguments) {
  Arguments command = {ll::program_beside("litelang-convert")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  ll::become(command);
}

// This program is linked with few of the libraries; the one that runs models has them all.
int version_command(const Arguments& arguments) {
  if (arguments.empty()) ll::become({ll::program_beside("litelang-run"), "--version"});
  if (arguments[0] != "--help" && arguments[0] != "-h")
    ll::fail_usage("version: {}: takes no arguments", arguments[0]);
  fmt::print(
      "Prints what litelang was built with, and which libraries, processor and GPUs it finds "
      "here.\n"
      "Usage: litelang version\n");
  return static_cast<int>(ll::ExitCode::kDone);
}

struct Command {
  const char* name;
  int (*run)(const Arguments& arguments);
  const char* help;
};
constexpr std::array kCommands = {
    Command{"batch", ll::batch_command, "answer a file of requests, on as many ranks as you say"},
    Command{"bench", ll::bench_command, "measure speed, beside the floor the device sets"},
    Command{"convert", convert_command, "make a weight file of a Hugging Face folder"},
    Command{"plan", ll::plan_command, "which grid of ranks to run a model on"},
    Command{"render", ll::render_command, "what a chat template makes of chat requests"},
    Command{"rerun", ll::rerun_command, "a batch once more, as its manifest says, and compare"},
    Command{"serve", ll::serve_command, "answer OpenAI's clients over HTTP"},
    Command{"tokenize", ll::tokenize_command, "text to token ids and back"},
    Command{"verify", ll::verify_command, "compare a weight file with its checksums"},
    Command{"version", version_command, "what the programs were built with and find here"},
};

int print_help() {
  fmt::print("litelang {}: Qwen2 and Qwen2.5 on CPUs and GPUs, as a plain MPI program\n\n",
             ll::kVersion);
  fmt::print("Usage: litelang COMMAND OPTIONS\n\n");
  for (const Command& c : kCommands) fmt::print("  {:<10} {}\n", c.name, c.help);
  fmt::print(
      "\nlitelang COMMAND --help lists a command's options. litelang-run runs a YAML file "
      "under mpirun or srun.\n");
  return static_cast<int>(ll::ExitCode::kDone);
}

int run(const Arguments& arguments) {
  if (arguments.empty()) ll::fail_usage("COMMAND is missing; --help lists the commands");
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h" || name == "help") return print_help();
  if (name == "--version") {
    fmt::print("{}\n", ll::version_line());
    return static_cast<int>(ll::ExitCode::kDone);
  }
  // The original's command line has no command.
  if (name.starts_with("--model")) return ll::serve_command(arguments);
  Arguments names;
  for (const Command& c : kCommands) {
    if (name == c.name) return c.run({arguments.begin() + 1, arguments.end()});
    names.emplace_back(c.name);
  }
  std::string near = ll::nearest_name(name, names);
  ll::fail_usage(
      "unknown command {}{}", name,
      near.empty() ? "; --help lists the commands" : fmt::format("; did you mean {}?", near));
}

}  // namespace

int main(int argc, char** argv) {
  // Open MPI's hwloc complains of containers without /sys, which is nothing a user can act on.
  setenv("HWLOC_HIDE_ERRORS", "2", /*overwrite=*/0);
  ll::ensure_home();
  try {
    return run({argv + 1, argv + argc});
  } catch (const ll::Error& e) {
    std::fprintf(stderr, "litelang: %s\n", e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "litelang: %s\n", ll::exception_text(e).c_str());
    return static_cast<int>(ll::ExitCode::kError);
  }
}
