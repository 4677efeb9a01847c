#include "launcher/rerun_command.h"

#include <CLI/CLI.hpp>

#include "base/check.h"
#include "launcher/job_command.h"
#include "launcher/version_report.h"
#include "runtime/batch/rerun.h"
#include "runtime/job_config.h"

namespace ll {
namespace {

constexpr KeyOption kRerunOptions[] = {
    {"-o,--output", "job.output", nullptr, "where the answers go [OUT.rerun]"},
    {"-m,--model,--model_path", "model.path", nullptr, "where the model is now"},
    {"-i,--input", "job.input", nullptr, "where the input is now"},
    {"--overwrite", "job.overwrite", "true"},
};

// Whether all answers are the same, which it says.
bool say_same(const Rerun& rerun, const std::string& output) {
  Rerun::Comparison c = rerun.compare(output);
  if (!c.has_answers) {
    fmt::print(stderr, "litelang: {}: is gone; there is nothing to compare {} with\n",
               rerun.output(), output);
    return true;
  }
  int64_t all = c.num_equal + c.num_different;
  if (c.num_different == 0) {
    fmt::print(stderr,
               "rerun          {} of {} answers are those of {}, but for times, cached tokens and "
               "costs\n",
               c.num_equal, all, rerun.output());
    return true;
  }
  fmt::print(stderr,
             "litelang: {}: {} of {} answers differ from those of {}, first that of line {} of the "
             "input\n",
             output, c.num_different, all, rerun.output(), c.first_different);
  return false;
}

}  // namespace

int rerun_command(const std::vector<std::string>& arguments) {
  CLI::App app(
      "Runs a batch once more as its manifest says, and compares the answers: all but times, "
      "cached tokens and costs. Refuses another input or model.",
      "litelang rerun");
  std::string manifest;
  app.add_option("MANIFEST", manifest, "OUT.manifest.json of a batch that is complete")->required();
  auto job = parse_job(app, kRerunOptions, arguments);
  if (!job) return static_cast<int>(ExitCode::kDone);
  Rerun rerun(manifest);
  std::vector<std::string> settings = rerun.settings();
  settings.insert(settings.end(), job->overrides.begin(), job->overrides.end());
  job->overrides = settings;
  std::string output = value_of(settings, "job.output");
  EngineConfig config = read_job_config("", manifest, settings);
  for (const std::string& line : rerun.check_same(config, version_line()))
    fmt::print(stderr, "litelang: {}: {}\n", manifest, line);
  int code = run_job_command(*job);
  if (code != 0 || job->prints_command) return code;
  return static_cast<int>(say_same(rerun, output) ? ExitCode::kDone : ExitCode::kError);
}

}  // namespace ll
