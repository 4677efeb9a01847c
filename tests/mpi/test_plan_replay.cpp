// What an engine recorded is run again without it: the same tokens, or the first that is another.
#include "runtime/engine/plan_replay.h"

#include <unistd.h>

#include <filesystem>

#include "runtime/engine/plan_file.h"
#include "tests/support/engine_oracle.h"
#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

namespace {

namespace fs = std::filesystem;

Requests varied_requests() {
  Requests list;
  for (int32_t i = 0; i < 12; ++i) {
    auto r = i % 3 == 0 ? greedy_request(i, make_prompt(5 + 9 * (i % 5), i % 4), 6 + i)
                        : sampled_request(i, make_prompt(5 + 9 * (i % 5), i % 4), 6 + i);
    SamplingParams& p = r->params;
    if (i % 6 == 1) p.repetition_penalty = 1.3f, p.presence_penalty = 0.2f;
    if (i % 4 == 2) p.logprobs = 4;
    if (i == 7) p.prompt_logprobs = 3;
    if (i % 8 == 5) p.n = 3;
    if (i % 5 == 0) p.ignore_eos = false, p.logit_bias = {{0, 1.5f}};
    list.push_back(std::move(r));
  }
  return list;
}

// The recording of a run, on rank 0.
struct Recorded {
  fs::path path = fs::temp_directory_path() / fmt::format("litelang-plans-{}", ::getpid());

  explicit Recorded(const EngineSetup& setup) {
    std::optional<PlanRecorder> recorder;
    if (leads()) recorder.emplace(path, PlanFileHeader{.num_ranks = 1, .num_pages = 1});
    run_engine(setup, mpi().world(), varied_requests(),
               {.recorder = recorder ? &*recorder : nullptr});
  }
  ~Recorded() {
    std::error_code none;
    fs::remove(path, none);
  }

  // Collective; the report is rank 0's.
  ReplayReport replay(const EngineSetup& setup, bool* is_torn = nullptr) const {
    RunnerRig rig(setup, mpi().world());
    Watchdog watchdog(std::chrono::seconds(120), "test");
    if (!leads()) return run_worker(rig.runner, rig.grid.replica(), watchdog), ReplayReport();
    PlanRecording recording(path);
    PlanReplay replay(rig.runner, rig.grid.replica(), watchdog,
                      {.max_num_seqs = setup.max_num_seqs,
                       .max_num_batched_tokens = setup.max_num_batched_tokens,
                       .max_drafts = setup.drafts.max_drafts,
                       .max_draft_rows = setup.drafts.max_rows(setup.max_num_seqs),
                       .max_length = setup.max_length,
                       .num_pages = setup.num_pages,
                       .page_span = rig.shard.positions(setup.page_size).span(),
                       .vocab = setup.config.vocab_size});
    ReplayReport report = replay.run(recording);
    if (is_torn) *is_torn = recording.is_torn();
    return report;
  }
};

}  // namespace

TEST_CASE("replay: the same tokens, of steps as they came, preempted, grouped and from the cache") {
  std::vector<EngineSetup> setups(6);
  setups[1].async = false;
  setups[2].num_pages = 6;  // preemption
  setups[3].page_size = 4;
  setups[3].num_pages = 500;
  setups[3].prefix_groups = {.min_rows = 2, .min_pages = 1};
  for (size_t i : {4, 5}) setups[i].drafts = {.max_drafts = 3, .is_adaptive = false};
  setups[5].num_pages = 6;
  for (const EngineSetup& setup : setups) {
    Recorded recorded(setup);
    ReplayReport report = recorded.replay(setup);
    if (!leads()) continue;
    CHECK(report.difference.empty());
    CHECK(report.steps > 10);
    CHECK(report.tokens > 100);
  }
}

TEST_CASE("replay: with other weights the first token that differs is named") {
  EngineSetup setup;
  Recorded recorded(setup);
  setup.seed = 2;
  ReplayReport report = recorded.replay(setup);
  if (leads()) {
    CHECK(contains(report.difference, "step 3: sample "));  // two without work came before
    CHECK(contains(report.difference, ", recorded "));
  }
}

TEST_CASE("replay: what is whole of a torn recording is run") {
  EngineSetup setup;
  Recorded recorded(setup);
  if (leads()) fs::resize_file(recorded.path, fs::file_size(recorded.path) / 2 + 1);
  mpi().world().barrier();
  bool is_torn = false;
  ReplayReport report = recorded.replay(setup, &is_torn);
  if (!leads()) return;
  CHECK(report.difference.empty());
  CHECK(report.steps > 5);
  CHECK(is_torn);
}
