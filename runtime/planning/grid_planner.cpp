#include "runtime/planning/grid_planner.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "runtime/engine/model_runner.h"

namespace ll {
namespace {

constexpr double kSimplerWithin =
    0.05;  // what a more intricate grid must bring: costs are not exact
constexpr int64_t kPrefillRows = 8192;
constexpr int64_t kContext = 1024;

// Weights, buffers and what is left for KV pages.
void plan_memory(const ModelConfig& c, const GridQuestion& q, GridAnswer& a) {
  ModelShard shard = shard_of(c, a.grid, {});  // the first rank has the largest parts
  MemoryBudget b = ll::plan_memory({c, shard, q.dtype}, q.limits, a.grid.replica_size(), q.memory);
  a.weights = b.weights;
  a.buffers = b.buffers + b.graphs;
  a.kv_tokens = b.num_pages * b.page_span * a.grid.dp;
  auto gigabytes = [](size_t bytes) { return static_cast<double>(bytes) / 1e9; };
  if (b.room() == 0)
    a.problem = fmt::format("needs {:.1f} GB a rank, {:.1f} are there", gigabytes(b.fixed_bytes()),
                            gigabytes(b.available));
  else if (a.kv_tokens / a.grid.dp < kContext)
    a.problem = "leaves no room for keys and values";
}

void plan_times(const ModelConfig& c, const MachineRates& machine, const GridQuestion& q,
                GridAnswer& a) {
  RankSizes sizes = rank_sizes(c, a.grid, q.dtype);
  auto seconds = [&](const StepWork& work) {
    double stationary = step_seconds(machine, a.grid, sizes, work, false);
    if (a.grid.z == 1) return stationary;
    return std::min(stationary, step_seconds(machine, a.grid, sizes, work, true));
  };
  a.gather_tokens = gather_threshold(machine, a.grid, sizes, q.limits.max_num_batched_tokens);
  a.decode_one_s = seconds(StepWork::decode(1, kContext));
  int64_t length = q.prompt_tokens + q.output_tokens;
  int64_t at_once = std::clamp<int64_t>(a.kv_tokens / a.grid.dp / length, 1,
                                        std::max<int64_t>(1, q.sequences / a.grid.dp));
  a.decode_many_s = seconds(StepWork::decode(at_once, q.prompt_tokens + q.output_tokens / 2));
  a.prefill_s = seconds(StepWork::prefill(1, kPrefillRows));
  int64_t prompts = std::max<int64_t>(1, kPrefillRows / q.prompt_tokens);
  double a_prompt =
      seconds(StepWork::prefill(prompts, q.prompt_tokens)) / static_cast<double>(prompts);
  double a_token = a.decode_many_s / static_cast<double>(at_once) +
                   a_prompt / static_cast<double>(q.output_tokens);
  a.tokens_per_s = a.grid.dp / a_token;
}

// Fewer means to an end first: plain tensor parallelism, shared KV, gathering, replicas, hidden
// split.
auto intricacy(const GridShape& g) { return std::tuple(g.x, g.dp, g.z, g.context()); }

// The shapes of so many ranks, legal or not.
std::vector<GridShape> shapes(int num_ranks, bool may_replicate, bool may_gather) {
  std::vector<GridShape> list;
  for (int dp = 1; dp <= (may_replicate ? num_ranks : 1); ++dp)
    for (int x = 1; x <= num_ranks / dp; ++x)
      for (int z = 1; z <= (may_gather ? num_ranks / dp / x : 1); ++z) {
        if (num_ranks % (dp * x * z) != 0) continue;
        GridShape grid{.dp = dp, .x = x, .y = num_ranks / (dp * x * z), .z = z};
        list.push_back(grid);
        for (grid.heads = grid.columns() - 1; grid.heads >= 1; --grid.heads)
          if (grid.columns() % grid.heads == 0) list.push_back(grid);
      }
  return list;
}

// Puts the choice in front of the sorted answers, of which those with problems are last.
void put_choice_first(std::vector<GridAnswer>& answers) {
  std::vector<GridRate> fitting;
  for (const GridAnswer& a : answers)
    if (a.problem.empty()) fitting.push_back({a.grid, a.tokens_per_s});
  if (fitting.empty()) return;
  auto choice = answers.begin() + static_cast<std::ptrdiff_t>(choose_among(fitting));
  std::rotate(answers.begin(), choice, choice + 1);
}

std::string table_row(const GridAnswer& a) {
  auto gb = [](size_t bytes) { return static_cast<double>(bytes) / 1e9; };
  if (!a.problem.empty())
    return fmt::format("{:<34} {:>8.2f} {:>8.2f}   {}\n", a.grid.str(), gb(a.weights),
                       gb(a.buffers), a.problem);
  std::string gathers = a.gather_tokens > 0 ? fmt::format("{}", a.gather_tokens) : "-";
  return fmt::format(
      "{:<34} {:>8.2f} {:>8.2f} {:>11} {:>9.2f} {:>10.2f} {:>10.1f} {:>8} {:>10.0f}\n",
      a.grid.str(), gb(a.weights), gb(a.buffers), a.kv_tokens, 1e3 * a.decode_one_s,
      1e3 * a.decode_many_s, 1e3 * a.prefill_s, gathers, a.tokens_per_s);
}

// The choice, and what it is compared with: one replica without any other means.
std::string choice_in_words(const std::vector<GridAnswer>& answers) {
  const GridAnswer& choice = answers.front();
  if (!choice.problem.empty()) return "choice: none fits; use more ranks\n";
  std::string words = fmt::format("choice: {}", choice.grid.str());
  if (choice.grid.dp > 1) words += ", replicas rather than tensor parallelism";
  for (const GridAnswer& a : answers)
    if (a.problem.empty() && intricacy(a.grid) == std::tuple(1, 1, 1, 1) &&
        !(a.grid == choice.grid))
      words += fmt::format("; {:.2f} times the tokens a second of {}",
                           choice.tokens_per_s / a.tokens_per_s, a.grid.str());
  return fmt::format("{}\n", words);
}

}  // namespace

std::vector<GridAnswer> plan_grids(const ModelConfig& config, const MachineRates& machine,
                                   const GridQuestion& question) {
  std::vector<GridAnswer> answers;
  for (const GridShape& grid :
       shapes(question.num_ranks, question.may_replicate, question.may_gather)) {
    if (why_illegal(config, grid)) continue;
    GridAnswer a{.grid = grid};
    plan_memory(config, question, a);
    if (a.problem.empty()) plan_times(config, machine, question, a);
    answers.push_back(std::move(a));
  }
  std::stable_sort(answers.begin(), answers.end(), [](const GridAnswer& a, const GridAnswer& b) {
    return std::pair(!a.problem.empty(), -a.tokens_per_s) <
           std::pair(!b.problem.empty(), -b.tokens_per_s);
  });
  put_choice_first(answers);
  return answers;
}

size_t choose_among(const std::vector<GridRate>& grids) {
  double most = 0;
  for (const GridRate& g : grids) most = std::max(most, g.tokens_per_s);
  auto comes_near = [&](const GridRate& g) {
    return g.tokens_per_s >= most * (1 - kSimplerWithin);
  };
  std::optional<size_t> choice;
  for (size_t i = 0; i < grids.size(); ++i) {
    if (!comes_near(grids[i])) continue;
    auto is_better = [&](const GridRate& a, const GridRate& b) {
      return std::tuple(intricacy(a.grid), -a.tokens_per_s) <
             std::tuple(intricacy(b.grid), -b.tokens_per_s);
    };
    if (!choice || is_better(grids[i], grids[*choice])) choice = i;
  }
  return choice.value_or(0);
}

double predict_step(const ModelConfig& config, const MachineRates& machine, const GridShape& grid,
                    DType dtype, const StepWork& work, bool gathered) {
  return step_seconds(machine, grid, rank_sizes(config, grid, dtype), work, gathered);
}

GridShape best_grid(const ModelConfig& config, const MachineRates& machine,
                    const GridQuestion& question) {
  auto answers = plan_grids(config, machine, question);
  // What fits nowhere is refused with its numbers once memory is planned.
  bool fits = !answers.empty() && answers[0].problem.empty();
  return fits ? answers[0].grid : choose_grid(config, std::nullopt, question.num_ranks);
}

int64_t gather_tokens(const ModelConfig& config, const MachineRates& machine, const GridShape& grid,
                      DType dtype, int64_t max_rows) {
  return gather_threshold(machine, grid, rank_sizes(config, grid, dtype), max_rows);
}

std::vector<IllegalGrid> illegal_grids(const ModelConfig& config, int num_ranks) {
  std::vector<IllegalGrid> list;
  for (const GridShape& grid : shapes(num_ranks, false, true))
    if (auto reason = why_illegal(config, grid)) list.push_back({grid, *reason});
  return list;
}

std::string describe_plan(const ModelConfig& config, const std::string& model,
                          const MachineRates& machine, const GridQuestion& q) {
  std::vector<GridAnswer> answers = plan_grids(config, machine, q);
  std::string text = fmt::format(
      "{} in {} on {} x {} ({:.0f} GB; expected: {:.2f} TB/s, {:.0f} TFLOP/s)\n"
      "compared by {} sequences of {} tokens in and {} out\n\n",
      model, name_of(q.dtype), q.num_ranks, machine.name,
      static_cast<double>(machine.memory_bytes) / 1e9, machine.device.bytes_per_s / 1e12,
      machine.device.flops_per_s / 1e12, q.sequences, q.prompt_tokens, q.output_tokens);
  if (!machine.computed_from.empty())
    text += fmt::format("times are computed from the data sheet ({}), not measured\n\n",
                        machine.computed_from);
  text +=
      fmt::format("{:<34} {:>8} {:>8} {:>11} {:>9} {:>10} {:>10} {:>8} {:>10}\n", "grid", "weights",
                  "buffers", "KV tokens", "decode", "decode", "prefill", "gathers", "tokens/s");
  text += fmt::format("{:<34} {:>8} {:>8} {:>11} {:>9} {:>10} {:>10} {:>8} {:>10}\n", "", "GB",
                      "GB", "", "1, ms", "many, ms", "8192, ms", "from", "");
  for (const GridAnswer& a : answers) text += table_row(a);
  text += fmt::format("\n{}", answers.empty() ? "choice: no grid of so many ranks is legal\n"
                                              : choice_in_words(answers));
  auto illegal = illegal_grids(config, q.num_ranks);
  if (!illegal.empty()) text += "\nnot possible:\n";
  for (const IllegalGrid& g : illegal) text += fmt::format("{:<34} {}\n", g.grid.str(), g.reason);
  return text;
}

}  // namespace ll
