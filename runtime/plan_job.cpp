#include "runtime/plan_job.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "runtime/batch/model_fingerprint.h"
#include "runtime/batch/run_facts.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/plan_replay.h"
#include "runtime/job_config.h"
#include "runtime/version.h"

namespace ll {
namespace {

// What plans fit to, and what the runner makes of them.
constexpr std::array<std::string_view, 22> kSettings = {"model.load_format",
                                                        "model.dtype",
                                                        "model.seed",
                                                        "grid.dp",
                                                        "grid.x",
                                                        "grid.y",
                                                        "grid.z",
                                                        "grid.heads",
                                                        "kv_cache.page_size",
                                                        "kv_cache.memory_bytes",
                                                        "kv_cache.cascade",
                                                        "scheduler.max_num_seqs",
                                                        "scheduler.max_num_batched_tokens",
                                                        "scheduler.max_input_length",
                                                        "scheduler.max_output_length",
                                                        "speculative.method",
                                                        "speculative.num_speculative_tokens",
                                                        "speculative.prompt_lookup_min",
                                                        "speculative.prompt_lookup_max",
                                                        "speculative.synthetic_acceptance_length",
                                                        "cuda_graph_max_bs",
                                                        "enforce_eager"};

bool is_setting(std::string_view key) {
  return std::find(kSettings.begin(), kSettings.end(), key) != kSettings.end();
}

PlanFileHeader header_of(const LocalModel& local, const EngineConfig& config) {
  PlanFileHeader header{.version = kVersion,
                        .model = model_fingerprint(local.files(), config.model),
                        .model_path = config.model.path,
                        .grid = local.grid().shape().str(),
                        .num_ranks = local.world().size(),
                        .num_pages = local.budget().num_pages};
  header.settings = batch_settings(as_run(config, local));
  std::erase_if(header.settings, [](const auto& setting) { return !is_setting(setting.first); });
  return header;
}

// The configuration with what the recording says of it.
EngineConfig as_recorded(const EngineConfig& config, const PlanFileHeader& header,
                         const MpiGroup& world) {
  const std::string& path = config.replay_plan;
  check(world.size() == header.num_ranks, "{}: was recorded on {} ranks ({}), {} {} started", path,
        header.num_ranks, header.grid, world.size(), world.size() == 1 ? "was" : "were");
  EngineConfig recorded = config;
  recorded.grid.reset();
  for (const auto& [key, value] : header.settings) {
    check(is_setting(key), "{}: {} is no setting of a recording", path, key);
    try {
      job_key(key).read(recorded, value);
    } catch (const Error& e) {
      fail("{}: {}: {}", path, key, e.what());
    }
  }
  return recorded;
}

PlanLimits limits_of(const LocalModel& local) {
  RunnerOptions options = local.limits();
  return {.max_num_seqs = options.max_num_seqs,
          .max_num_batched_tokens = options.max_num_batched_tokens,
          .max_drafts = options.drafts.max_drafts,
          .max_draft_rows = options.drafts.max_rows(options.max_num_seqs),
          .max_length = options.max_length,
          .num_pages = local.budget().num_pages,
          .page_span = local.budget().page_span,
          .vocab = local.model().vocab_size};
}

void check_model(const LocalModel& local, const EngineConfig& config,
                 const PlanFileHeader& header) {
  std::string model = model_fingerprint(local.files(), config.model);
  check(model == header.model, "{}: was recorded with another model: {} ({:.16}), and {} is {:.16}",
        config.replay_plan, header.model_path, header.model, config.model.path, model);
}

// What a replay came to, on the first rank of a replica.
void report(const ReplayReport& r, const PlanRecording& recording, const std::string& path,
            bool is_first) {
  check(r.difference.empty(), "{}: {}; the {} tokens before are as recorded", path, r.difference,
        r.tokens);
  check(!recording.is_torn(), "{}: {}; its {} steps before were run, {} tokens are as recorded",
        path, recording.fault(), r.steps, r.tokens);
  if (!is_first) return;
  fmt::print(stderr, "replayed       {} steps in {:.2f} s, {} tokens, all as recorded\n", r.steps,
             r.seconds, r.tokens);
  if (!recording.fault().empty())
    fmt::print(stderr, "litelang-run: {}: {}\n", path, recording.fault());
}

}  // namespace

std::unique_ptr<PlanRecorder> plan_recorder(const LocalModel& local, const EngineConfig& config) {
  if (config.record_plan.empty()) return nullptr;
  return std::make_unique<PlanRecorder>(
      recording_of(config.record_plan, local.grid().leaders().rank()), header_of(local, config));
}

// Rank 0 alone need see the first file before the model is loaded.
void replay_plans(const EngineConfig& config, const MpiEnvironment& mpi) {
  const MpiGroup& world = mpi.world();
  const std::string& path = config.replay_plan;
  std::string text = world.rank() == 0 ? PlanRecording(path).header().text() : "";
  PlanFileHeader header = PlanFileHeader::parse(world.broadcast_text(text, 0), path);
  EngineConfig recorded = as_recorded(config, header, world);
  LocalModel local(recorded, mpi);
  if (world.rank() == 0) check_model(local, local.config(), header);
  local.load(local.wanted_grid());
  check(local.budget().num_pages >= header.num_pages,
        "{}: was recorded with {} KV pages, and there is room for {}; see kv_cache.memory_bytes",
        path, header.num_pages, local.budget().num_pages);
  const MpiGroup& replica = local.grid().replica();
  if (replica.rank() > 0) return run_worker(local.runner(), replica, local.watchdog());
  std::string own_path = recording_of(path, local.grid().leaders().rank());
  PlanRecording recording(own_path);
  PlanReplay replay(local.runner(), replica, local.watchdog(), limits_of(local));
  report(replay.run(recording), recording, own_path, world.rank() == 0);
}

}  // namespace ll
