// litelang-convert HF_DIR OUT.h5: a Hugging Face model folder becomes one weight file.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>

#include "base/check.h"
#include "base/exception_text.h"
#include "base/write_signals.h"
#include "launcher/version_report.h"
#include "model/files/converter.h"
#include "model/files/hdf5_version.h"

namespace {

using Clock = std::chrono::steady_clock;

volatile sig_atomic_t signal_received = 0;

// The first signal ends the conversion cleanly, the second at once.
void catch_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int signal) { signal_received = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double gigabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

// A bar that redraws itself on a terminal; elsewhere a line every tenth, at most one a second.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

  void operator()(const ll::ConvertProgress& progress) {
    if (signal_received != 0) ll::fail("interrupted, nothing was written");
    if (quiet_) return;
    if (progress.phase != phase_) begin(progress);
    bool last = progress.done >= progress.total;
    terminal_ ? draw(progress, last) : print(progress, last);
  }
  // Ends an unfinished bar's line.
  void end() {
    if (drawn_) fmt::print(stderr, "\n");
    drawn_ = false;
  }

 private:
  static constexpr int kWidth = 30, kSteps = 10;

  void begin(const ll::ConvertProgress& p) {
    end();
    phase_ = p.phase;
    done_before_ = p.done;
    step_ = 0;
    start_ = Clock::now();
    drawn_at_ = start_;
  }
  std::string describe(const ll::ConvertProgress& p) const {
    double seconds = seconds_since(start_);
    double rate = seconds > 0.01 ? gigabytes(p.done - done_before_) * 1000 / seconds : 0;
    return fmt::format("{:.2f} of {:.2f} GB, {:.0f} MB/s", gigabytes(p.done), gigabytes(p.total),
                       rate);
  }
  void draw(const ll::ConvertProgress& p, bool last) {
    if (!last && seconds_since(drawn_at_) < 0.1) return;
    drawn_at_ = Clock::now();
    double share = p.total > 0 ? static_cast<double>(p.done) / static_cast<double>(p.total) : 1;
    auto filled = static_cast<size_t>(kWidth * share);
    fmt::print(stderr, "\r\x1b[K{:<9} [{}{}] {:3.0f}% {}", p.phase, std::string(filled, '#'),
               std::string(kWidth - filled, ' '), 100 * share, describe(p));
    drawn_ = true;
  }
  void print(const ll::ConvertProgress& p, bool last) {
    int step = p.total > 0 ? static_cast<int>(kSteps * p.done / p.total) : kSteps;
    if (step == step_ || (!last && seconds_since(drawn_at_) < 1)) return;
    step_ = step;
    drawn_at_ = Clock::now();
    fmt::print(stderr, "{} {}%: {}\n", p.phase, 100 * step / kSteps, describe(p));
  }

  bool quiet_, terminal_, drawn_ = false;
  int step_ = 0;
  uint64_t done_before_ = 0;
  std::string phase_;
  Clock::time_point start_, drawn_at_;
};

int convert(const std::string& source, const std::string& target, ll::ConvertOptions options,
            bool quiet) {
  ProgressPrinter printer(quiet);
  options.progress = [&](const ll::ConvertProgress& progress) { printer(progress); };
  Clock::time_point start = Clock::now();
  try {
    ll::ConvertReport report = ll::convert(source, target, options);
    double seconds = seconds_since(start);
    printer.end();
    for (const std::string& note : report.notes) fmt::print(stderr, "litelang-convert: {}\n", note);
    fmt::print("{}: {} tensors, {:.2f} GB in {} file{}, {:.1f} s ({:.0f} MB/s){}\n", target,
               report.num_tensors, gigabytes(report.bytes), report.num_files,
               report.num_files == 1 ? "" : "s", seconds, gigabytes(report.bytes) * 1000 / seconds,
               options.verify ? ", verified" : "");
    return static_cast<int>(ll::ExitCode::kDone);
  } catch (...) {
    printer.end();
    throw;
  }
}

int run(int argc, char** argv) {
  CLI::App app(
      "Converts a Hugging Face Qwen2 or Qwen2.5 folder (safetensors) to a litelang weight file.",
      "litelang-convert");
  std::string source, target;
  ll::ConvertOptions options;
  bool quiet = false;
  app.add_option("HF_DIR", source, "model folder: config.json, *.safetensors, tokenizer.json")
      ->required();
  app.add_option("OUT.h5", target, "weight file to write; it appears only when it is complete")
      ->required();
  app.add_option(
         "--shard-size", options.shard_size,
         "split the weights into files of up to this size, e.g. 5GB, beside the index OUT.h5")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
  app.add_flag("--verify", options.verify, "read the file back and compare it with the source");
  app.add_flag("--overwrite", options.overwrite, "replace a file that exists");
  app.add_flag("--quiet", quiet, "no progress");
  app.set_version_flag(
      "--version", [] { return ll::version_report({ll::hdf5_version()}); },
      "what this program was built with");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::Error& e) {
    ll::fail_usage("{}; --help tells how to use it", e.what());
  }
  ll::ignore_write_signals();
  catch_signals();
  return convert(source, target, options, quiet);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const ll::Error& e) {
    std::fprintf(stderr, "litelang-convert: %s\n", e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "litelang-convert: %s\n", ll::exception_text(e).c_str());
    return static_cast<int>(ll::ExitCode::kError);
  }
}
