#pragma once
// An engine and its workers on the ranks of a group, with a dummy model: requests in, answers out.
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/engine/engine.h"
#include "tests/support/device.h"
#include "tests/support/rig_desk.h"
#include "tests/support/tiny_config.h"

namespace ll::test {

struct EngineSetup {
  ModelConfig config = tiny_config(4, 2);
  DType dtype = DType::f32;
  uint64_t seed = 1;
  int32_t max_num_seqs = 8, max_num_batched_tokens = 64;
  int64_t max_length = 400, num_pages = 200, page_size = 16;
  bool chunked_prefill = true, radix = true, async = true;
  int32_t gather_tokens = 0;                     // of grids with z > 1
  PrefixRules prefix_groups = {};                // none
  DraftOptions drafts = {};                      // none
  int32_t graph_max_rows = 0;                    // where the device has graphs
  std::optional<GridShape> grid = std::nullopt;  // nothing: as many ranks as there are, in y
  const Tokenizer* tokenizer = nullptr;          // of requests with stop strings
};

struct EngineHooks {
  std::function<void(RigDesk<Engine>&, int64_t step)> before_step;
  std::function<DecoderWeights(const ModelShard&)> weights;  // others than the setup's seed makes
  std::function<void(ModelRunner&)> when_drained;            // on every rank
  PlanRecorder* recorder = nullptr;
};

// A rank's part of the model.
struct RunnerRig {
  RunnerRig(const EngineSetup& setup, const MpiGroup& group, const EngineHooks& hooks = {})
      : grid(backend(), group, choose_grid(setup.config, setup.grid, group.size())),
        shard(shard_of(setup.config, grid.shape(), grid.place())),
        runner({.max_num_seqs = setup.max_num_seqs,
                .max_num_batched_tokens = setup.max_num_batched_tokens,
                .max_length = setup.max_length,
                .num_pages = setup.num_pages,
                .page_size = setup.page_size,
                .graph_max_rows = setup.graph_max_rows,
                .collects = group.rank() == 0,
                .drafts = setup.drafts},
               backend(), grid, stream(), setup.config, shard,
               hooks.weights ? hooks.weights(shard)
                             : random_weights(setup.config, shard, setup.dtype, backend(), stream(),
                                              setup.seed)) {
    runner.measure_products();
    runner.measure_decode_one();
  }

  ProcessGrid grid;
  ModelShard shard;
  ModelRunner runner;
};

// Collective over `group`; the outcome is rank 0's, elsewhere it is empty.
inline Outcome run_engine(const EngineSetup& setup, const MpiGroup& group, const Requests& requests,
                          const EngineHooks& hooks = {}) {
  RunnerRig rig(setup, group, hooks);
  ModelRunner& runner = rig.runner;
  Watchdog watchdog(std::chrono::seconds(120), "test");
  Outcome outcome;
  if (group.rank() > 0) {
    run_worker(runner, rig.grid.replica(), watchdog);
    if (hooks.when_drained) hooks.when_drained(runner);
    return outcome;
  }
  SchedulerOptions options{.max_num_seqs = setup.max_num_seqs,
                           .max_num_batched_tokens = setup.max_num_batched_tokens,
                           .chunked_prefill = setup.chunked_prefill,
                           .radix = setup.radix,
                           .num_pages = setup.num_pages,
                           .page_span = rig.shard.positions(setup.page_size).span(),
                           .gather_tokens = rig.grid.shape().z > 1 ? setup.gather_tokens : 0,
                           .prefix_groups = setup.prefix_groups,
                           .drafts = setup.drafts};
  Engine engine(options, setup.async, runner, rig.grid.replica(), watchdog);
  engine.record_to(hooks.recorder);
  for (int i = 0; i < 2; ++i) engine.step();  // without work: a sign of life
  RigDesk desk(engine, outcome, setup.tokenizer);
  for (const auto& r : requests) desk.submit(*r);
  while (engine.has_work()) {
    if (hooks.before_step) hooks.before_step(desk, outcome.steps);
    desk.step();
    ensure(outcome.steps < 100'000, "the engine does not come to an end");
  }
  ensure(!desk.has_open(), "the engine has come to an end before its answers");
  outcome.stats = engine.stats();
  if (hooks.when_drained) hooks.when_drained(runner);
  return outcome;
}

// A request for `max_tokens` greedy tokens that no end of text cuts short.
inline std::shared_ptr<RigRequest> greedy_request(int64_t id, std::vector<int32_t> prompt,
                                                  int32_t max_tokens) {
  auto r = std::make_shared<RigRequest>();
  r->id = id;
  r->prompt = std::move(prompt);
  r->params.temperature = 0;
  r->params.max_tokens = max_tokens;
  r->params.ignore_eos = true;
  r->params.seed = static_cast<uint64_t>(id) * 1000;
  return r;
}

}  // namespace ll::test
