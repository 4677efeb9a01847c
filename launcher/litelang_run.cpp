// litelang-run CONFIG.yaml [--set key.path=value]...: the program every rank runs, under mpirun or
// srun.
#include <fmt/format.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>

#include "base/exception_text.h"
#include "base/output_file.h"
#include "base/write_signals.h"
#include "kernels/backend_versions.h"
#include "launcher/config_file.h"
#include "launcher/version_report.h"
#include "model/files/hdf5_version.h"
#include "parallel/make_communicator.h"
#include "parallel/mpi/agreement.h"
#include "parallel/mpi/launch_claim.h"
#include "parallel/mpi/mpi_environment.h"
#include "parallel/mpi/pmi_support.h"
#include "runtime/job.h"
#include "runtime/job_config.h"
#include "runtime/process/last_words.h"
#include "runtime/process/placed_error.h"
#include "runtime/process/progress.h"
#include "runtime/process/spin_limit.h"

namespace {

struct RunArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string answer;  // to print instead of running anything
};

std::vector<ll::VersionRow> libraries() {
  std::vector<ll::VersionRow> rows = ll::backend_versions();
  for (ll::VersionRow& row : ll::communicator_versions()) rows.push_back(std::move(row));
  rows.push_back(ll::hdf5_version());
  return rows;
}

ll::Program program() {
  return {.version = ll::version_line(), .commit = ll::commit(), .libraries = libraries()};
}

RunArguments parse_arguments(int argc, char** argv) {
  CLI::App app("Runs Qwen2 and Qwen2.5 models on the ranks mpirun or srun starts.", "litelang-run");
  RunArguments a;
  app.add_option("CONFIG", a.config, "YAML file; see configs/reference.yaml for its keys");
  app.add_option("--set", a.overrides, "key.path=value, over the file's; may be repeated")
      ->allow_extra_args(false);
  bool asks_reference = false, asks_version = false;
  app.add_flag("--print_reference", asks_reference, "print all keys with their defaults");
  app.add_flag("--version", asks_version, "what this program was built with and finds here");
  app.footer([] { return "\nKeys and their defaults:\n\n" + ll::job_reference(); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success&) {
    a.answer = app.help();
    return a;
  } catch (const CLI::Error& e) {
    ll::fail_usage("{}; --help tells how to use it", e.what());
  }
  if (asks_version) a.answer = ll::version_report(libraries());
  if (asks_reference) a.answer = ll::job_reference();
  if (a.answer.empty() && a.config.empty() && a.overrides.empty())
    ll::fail_usage("CONFIG is missing; --help tells how to use it");
  return a;
}

// Those who only ask are answered before MPI starts, which it may not do where no job runs. What is
// wrong with the arguments waits until the ranks know each other.
bool print_answer(int argc, char** argv) {
  std::string answer;
  try {
    answer = parse_arguments(argc, argv).answer;
  } catch (const ll::Error&) {
  }
  if (ll::MpiEnvironment::launch_rank() == 0) fmt::print("{}", answer);
  return !answer.empty();
}

// What the arguments of this rank change in the file of rank 0.
std::string settings(const RunArguments& a) {
  return fmt::format("[{}]", fmt::join(a.overrides, " "));
}

// Rank 0 reads the file, so the others need not see it.
ll::EngineConfig load_config(const RunArguments& a, const ll::MpiGroup& world) {
  std::string text =
      world.broadcast_text(world.rank() == 0 ? ll::read_config_file(a.config) : "", 0);
  return ll::read_job_config(text, a.config.empty() ? "--set" : a.config, a.overrides);
}

// The message of an error that does not say itself where it happened.
std::string placed(const ll::MpiEnvironment& mpi, const std::string& what) {
  int rank = mpi.world().rank();
  return rank == 0 ? what
                   : fmt::format("rank {} on {}: {}", rank, ll::MpiEnvironment::host_name(), what);
}

// One line, one exit code, all ranks gone. What all ranks found, the first of them says; the others
// wait for it and speak up only for errors of their own.
[[noreturn]] void end_job(const ll::MpiEnvironment& mpi, const std::string& what,
                          ll::ExitCode code) {
  ll::LastWords::take_the_floor();
  int rank = mpi.world().rank();
  if (rank > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500) + mpi.peers().turn());
    if (mpi.peers().is_explained()) ll::MpiEnvironment::abort(code);
  }
  ll::end_progress();
  std::fprintf(stderr, "litelang-run: %s\n", what.c_str());
  std::fflush(stderr);
  mpi.peers().send_explained();
  ll::MpiEnvironment::abort(code);
}

// The first of tasks that are each alone, and would each do the whole job, says so.
[[noreturn]] void refuse_tasks(const ll::LaunchClaim& claim) {
  if (claim.index == 0) fmt::print(stderr, "litelang-run: MPI sees one rank: {}\n", claim.advice);
  std::_Exit(static_cast<int>(ll::ExitCode::kUsage));
}

// Before MPI is initialized: where it would fail in words of its own.
void check_pmi(const ll::LaunchClaim& claim) {
  bool fails = claim.has_no_pmi || (claim.has_pmi2_only && !ll::may_know_pmi2());
  if (claim.num_tasks > 1 && fails) refuse_tasks(claim);
}

void check_launch(const ll::LaunchClaim& claim, const ll::MpiGroup& world) {
  if (world.size() > 1) return;
  if (claim.num_tasks > 1) refuse_tasks(claim);
  if (claim.num_allocated > 1)
    fmt::print(stderr,
               "litelang-run: one rank in an allocation of {0} tasks; for all of them type srun "
               "--mpi=pmix -n {0} litelang-run ..., or mpirun\n",
               claim.num_allocated);
}

ll::ExitCode run(int argc, char** argv, const ll::LaunchClaim& claim, ll::MpiEnvironment& mpi) {
  RunArguments arguments = parse_arguments(argc, argv);
  check_launch(claim, mpi.world());
  ll::check_agreement(mpi.world(), "the program", ll::version_line(),
                      "install the same on all hosts");
  ll::check_agreement(mpi.world(), "the settings", settings(arguments),
                      "start all ranks with the same arguments");
  ll::EngineConfig config = load_config(arguments, mpi.world());
  mpi.link_hosts(std::chrono::seconds(config.step_timeout_s));
  return ll::run_job(config, mpi, program);
}

}  // namespace

int main(int argc, char** argv) {
  ll::limit_spinning(argv);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // no rank outlives mpirun's daemon
  ll::ignore_write_signals();
  if (print_answer(argc, argv)) return static_cast<int>(ll::ExitCode::kDone);
  auto claim = ll::LaunchClaim::read(std::getenv);
  check_pmi(claim);
  ll::MpiEnvironment mpi(&argc, &argv);
  try {
    return static_cast<int>(run(argc, argv, claim, mpi));
  } catch (const ll::ReaderGone&) {
    mpi.peers().send_explained();
    ll::MpiEnvironment::abort(ll::ExitCode::kError);
  } catch (const ll::PlacedError& e) {
    end_job(mpi, e.what(), e.code());
  } catch (const ll::Error& e) {
    end_job(mpi, placed(mpi, e.what()), e.code());
  } catch (const std::exception& e) {
    end_job(mpi, placed(mpi, ll::exception_text(e)), ll::ExitCode::kError);
  }
  return static_cast<int>(ll::ExitCode::kDone);
}
