#include "runtime/bench/bench_grids.h"

#include <algorithm>

#include "runtime/bench/grid_report.h"
#include "runtime/bench/step_meter.h"
#include "runtime/planning/grid_planner.h"

namespace ll {
namespace {

constexpr size_t kMostGrids = 12;  // where none are named: as many of those the planner likes best

GridQuestion question_of(const Rank& rank, const EngineConfig& config, const GridWork& work) {
  bool is_cuda = rank.backend().kind == BackendKind::kCuda;
  return {.num_ranks = rank.world().size(),
          .dtype = rank.dtype(),
          .memory_share = is_cuda ? config.kv_cache.gpu_memory_utilization : kCpuMemoryShare,
          .limits = rank.limits(),
          .sequences = work.batch,
          .prompt_tokens = work.context,
          .output_tokens = work.context};
}

// The grids to measure, in the user's order or the planner's; in `result.left_out` those that do
// not fit.
std::vector<GridShape> grids_of(const Rank& rank, const EngineConfig& config, const GridWork& work,
                                GridsResult& result) {
  auto answers = plan_grids(rank.model(), rank.machine(), question_of(rank, config, work));
  KvWish wish = work.kv_wish(rank.limits());
  auto problem = [&](const GridAnswer& a) {
    if (!a.problem.empty() || a.kv_tokens / a.grid.dp >= wish.sequences * wish.length)
      return a.problem;
    return fmt::format("has room for {} tokens' keys and values, {} are needed",
                       a.kv_tokens / a.grid.dp, wish.sequences * wish.length);
  };
  std::vector<GridShape> grids;
  for (const GridAnswer& a : answers) {
    const auto& named = config.bench.grids;
    if (!named.empty() && std::find(named.begin(), named.end(), a.grid) == named.end()) continue;
    std::string why = problem(a);
    if (why.empty() && named.empty() && grids.size() == kMostGrids)
      why = "not measured: name it in bench.grids";
    if (why.empty())
      grids.push_back(a.grid);
    else
      result.left_out.emplace_back(a.grid, why);
  }
  auto place = [&](const GridShape& g) {
    return std::find(config.bench.grids.begin(), config.bench.grids.end(), g);
  };
  std::stable_sort(grids.begin(), grids.end(),
                   [&](const GridShape& a, const GridShape& b) { return place(a) < place(b); });
  return grids;
}

// All ranks take rank 0's.
void share(std::vector<GridShape>& grids, const MpiGroup& world) {
  auto count = static_cast<size_t>(world.max(static_cast<int64_t>(grids.size())));
  grids.resize(count);
  if (count > 0) world.broadcast(grids.data(), count * sizeof(GridShape), 0);
}

void say(const Rank& rank, const std::string& line) {
  if (rank.world().rank() == 0) fmt::print(stderr, "{}\n", line);
}

StepTimes predict(const Rank& rank, const GridWork& work, const GridShape& grid, bool gathered) {
  auto seconds = [&](const StepWork& step) {
    return predict_step(rank.model(), rank.machine(), grid, rank.dtype(), step, gathered);
  };
  int64_t middle = work.context + work.steps / 2;
  return {.prefill = seconds(StepWork::prefill(work.prompts, work.prompt_len)),
          .decode_one = seconds(StepWork::decode(1, middle)),
          .decode_many = seconds(StepWork::decode(work.batch, middle))};
}

// On all ranks; what comes back holds on rank 0.
StepTimes measure(Rank& rank, const EngineConfig& config, const GridWork& work, bool gathered) {
  const MpiGroup& replica = rank.grid().replica();
  if (replica.rank() > 0) {
    run_worker(rank.runner(), replica, rank.watchdog());
    return {};
  }
  StepMeter meter(rank, config, work, gathered);
  double prefill = meter.prefill(), one = meter.decode(1);
  return {prefill, one, meter.decode(work.batch)};
}

GridTimes measure_grid(Rank& rank, const EngineConfig& config, const GridWork& work) {
  const GridShape& grid = rank.grid().shape();
  GridTimes times{.grid = grid, .weight_bytes = static_cast<double>(rank.budget().weights)};
  for (bool gathered : {false, true})
    if (!gathered || grid.z > 1)
      times.modes.push_back(
          {gathered, measure(rank, config, work, gathered), predict(rank, work, grid, gathered)});
  return times;
}

// Illegal ones are refused.
void check_named(const Rank& rank, const EngineConfig& config) {
  for (const GridShape& grid : config.bench.grids)
    choose_grid(rank.model(), grid, rank.world().size());
}

}  // namespace

void bench_grids(Rank& rank, const EngineConfig& config) {
  check_named(rank, config);
  GridWork work = GridWork::of(config);
  rank.measure_machine();
  say(rank, describe(rank.machine().device) + describe(rank.machine().links));
  GridsResult result{.num_ranks = rank.world().size(),
                     .prompts = work.prompts,
                     .prompt_len = work.prompt_len,
                     .batch = work.batch,
                     .context = work.context};
  auto grids = grids_of(rank, config, work, result);
  share(grids, rank.world());
  for (size_t i = 0; i < grids.size(); ++i) {
    KvWish wish = work.kv_wish(rank.limits());
    double seconds = 0;
    if (i == 0)
      rank.load(grids[i], wish);
    else
      seconds = rank.move(grids[i], wish);
    say(rank, fmt::format("measuring {} ({} of {})", grids[i].str(), i + 1, grids.size()));
    result.grids.push_back(measure_grid(rank, config, work));
    result.grids.back().move_seconds = seconds;
  }
  if (rank.world().rank() > 0) return;
  BenchModel model{.name = config.model.path};
  print_report(report(model, result), config.bench.output_json);
}

}  // namespace ll
