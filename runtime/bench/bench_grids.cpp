#include "runtime/bench/bench_grids.h"

#include <algorithm>

#include "runtime/bench/grid_report.h"
#include "runtime/bench/step_meter.h"
#include "runtime/planning/grid_planner.h"

namespace ll {
namespace {

constexpr size_t kMostGrids = 12;  // where none are named: as many of those the planner likes best

GridQuestion question_of(const LocalModel& local, const GridWork& work) {
  return {.num_ranks = local.world().size(),
          .dtype = local.dtype(),
          .memory = local.memory(),
          .limits = local.limits(),
          .sequences = work.batch,
          .prompt_tokens = work.context,
          .output_tokens = work.context};
}

// The grids to measure, in the user's order or the planner's; in `result.left_out` those that do
// not fit.
std::vector<GridShape> grids_of(const LocalModel& local, const EngineConfig& config,
                                const GridWork& work, GridsResult& result) {
  auto answers = plan_grids(local.model(), local.machine(), question_of(local, work));
  KvWish wish = work.kv_wish(local.limits());
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

void say(const LocalModel& local, const std::string& line) {
  if (local.world().rank() == 0) fmt::print(stderr, "{}\n", line);
}

StepTimes predict(const LocalModel& local, const GridWork& work, const GridShape& grid,
                  bool gathered) {
  auto seconds = [&](const StepWork& step) {
    return predict_step(local.model(), local.machine(), grid, local.dtype(), step, gathered);
  };
  int64_t middle = work.context + work.steps / 2;
  return {.prefill = seconds(StepWork::prefill(work.prompts, work.prompt_len)),
          .decode_one = seconds(StepWork::decode(1, middle)),
          .decode_many = seconds(StepWork::decode(work.batch, middle))};
}

// On all ranks; what comes back holds on rank 0.
StepTimes measure(LocalModel& local, const EngineConfig& config, const GridWork& work,
                  bool gathered) {
  const MpiGroup& replica = local.grid().replica();
  if (replica.rank() > 0) {
    run_worker(local.runner(), replica, local.watchdog());
    return {};
  }
  StepMeter meter(local, config, work, gathered);
  double prefill = meter.prefill(), one = meter.decode(1);
  return {prefill, one, meter.decode(work.batch)};
}

GridTimes measure_grid(LocalModel& local, const EngineConfig& config, const GridWork& work) {
  const GridShape& grid = local.grid().shape();
  GridTimes times{.grid = grid, .weight_bytes = static_cast<double>(local.budget().weights)};
  for (bool gathered : {false, true})
    if (!gathered || grid.z > 1)
      times.modes.push_back(
          {gathered, measure(local, config, work, gathered), predict(local, work, grid, gathered)});
  return times;
}

// Illegal ones are refused.
void check_named(const LocalModel& local, const EngineConfig& config) {
  for (const GridShape& grid : config.bench.grids)
    choose_grid(local.model(), grid, local.world().size());
}

}  // namespace

void bench_grids(LocalModel& local, const EngineConfig& config) {
  check_named(local, config);
  GridWork work = GridWork::of(config);
  local.measure_machine();
  say(local, describe(local.machine().device) + describe(local.machine().links));
  GridsResult result{.num_ranks = local.world().size(),
                     .prompts = work.prompts,
                     .prompt_len = work.prompt_len,
                     .batch = work.batch,
                     .context = work.context};
  auto grids = grids_of(local, config, work, result);
  share(grids, local.world());
  for (size_t i = 0; i < grids.size(); ++i) {
    KvWish wish = work.kv_wish(local.limits());
    double seconds = 0;
    if (i == 0)
      local.load(grids[i], wish);
    else
      seconds = local.move(grids[i], wish);
    say(local, fmt::format("measuring {} ({} of {})", grids[i].str(), i + 1, grids.size()));
    result.grids.push_back(measure_grid(local, config, work));
    result.grids.back().move_seconds = seconds;
  }
  if (local.world().rank() > 0) return;
  BenchModel model{.name = config.model.path};
  print_report(report(model, result), config.bench.output_json);
}

}  // namespace ll
