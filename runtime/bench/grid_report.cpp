#include "runtime/bench/grid_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/planning/grid_planner.h"
#include "runtime/version.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMilli = 1e3;

// "12.34 11.80 0.96": milliseconds measured and expected, and the ratio of the two.
std::string compared(double measured, double predicted) {
  return fmt::format("{:>8.2f} {:>8.2f} {:>5.2f}", kMilli * measured, kMilli * predicted,
                     measured > 0 ? predicted / measured : 0);
}

std::string table_row(const GridsResult& r, const GridTimes& g, size_t mode) {
  const GridTimes::Mode& m = g.modes[mode];
  std::string head = mode == 0
                         ? fmt::format("{:<28} {:<10} {:>7.2f} {:>8.1f}", g.grid.str(),
                                       "stationary", g.weight_bytes / 1e9, kMilli * g.move_seconds)
                         : fmt::format("{:<28} {:<10} {:>7} {:>8}", "", "gathered", "", "");
  return fmt::format("{} {} {} {} {:>9.0f}\n", head,
                     compared(m.measured.prefill, m.predicted.prefill),
                     compared(m.measured.decode_one, m.predicted.decode_one),
                     compared(m.measured.decode_many, m.predicted.decode_many),
                     r.tokens_per_s(g.grid, m.measured));
}

std::string table(const GridsResult& r) {
  auto over = [](const std::string& what) { return fmt::format("{:>23}", what); };
  std::string text =
      fmt::format("{:<28} {:<10} {:>7} {:>8} {} {} {} {:>9}\n", "grid", "mode", "weights",
                  "reshard", over(fmt::format("prefill {} x {}, ms", r.prompts, r.prompt_len)),
                  over("decode 1, ms"), over(fmt::format("decode {}, ms", r.batch)), "tokens/s");
  std::string columns = fmt::format("{:>8} {:>8} {:>5}", "measured", "expected", "ratio");
  text += fmt::format("{:<28} {:<10} {:>7} {:>8} {} {} {}\n", "", "", "GB", "ms", columns, columns,
                      columns);
  for (const GridTimes& g : r.grids)
    for (size_t mode = 0; mode < g.modes.size(); ++mode) text += table_row(r, g, mode);
  return text;
}

Json times_of(const StepTimes& t) {
  return {{"prefill", t.prefill}, {"decode_one", t.decode_one}, {"decode_many", t.decode_many}};
}

Json json_of(const GridsResult& r, const GridTimes& g) {
  Json modes = Json::array();
  for (const GridTimes::Mode& m : g.modes)
    modes.push_back({{"mode", m.gathered ? "gathered" : "stationary"},
                     {"measured", times_of(m.measured)},
                     {"predicted", times_of(m.predicted)}});
  return {{"grid", g.grid.str()},
          {"weight_bytes", g.weight_bytes},
          {"reshard_time", g.move_seconds},
          {"modes", modes},
          {"tokens_per_second", r.tokens_per_s(g.grid, g.measured())},
          {"predicted_tokens_per_second", r.tokens_per_s(g.grid, g.predicted())}};
}

}  // namespace

StepTimes StepTimes::best_with(const StepTimes& o) const {
  return {std::min(prefill, o.prefill), std::min(decode_one, o.decode_one),
          std::min(decode_many, o.decode_many)};
}

StepTimes GridTimes::measured() const {
  StepTimes best = modes.front().measured;
  for (const Mode& m : modes) best = best.best_with(m.measured);
  return best;
}

StepTimes GridTimes::predicted() const {
  StepTimes best = modes.front().predicted;
  for (const Mode& m : modes) best = best.best_with(m.predicted);
  return best;
}

double GridsResult::tokens_per_s(const GridShape& grid, const StepTimes& t) const {
  double a_token = t.decode_many / static_cast<double>(batch) +
                   t.prefill / static_cast<double>(prompts * prompt_len);
  return a_token > 0 ? grid.dp / a_token : 0;
}

size_t GridsResult::best() const {
  size_t best = 0;
  for (size_t i = 1; i < grids.size(); ++i)
    if (tokens_per_s(grids[i].grid, grids[i].measured()) >
        tokens_per_s(grids[best].grid, grids[best].measured()))
      best = i;
  return best;
}

size_t GridsResult::choice() const {
  std::vector<GridRate> expected;
  for (const GridTimes& g : grids)
    expected.push_back({g.grid, tokens_per_s(g.grid, g.predicted())});
  return choose_among(expected);
}

double GridsResult::share_of_best() const {
  const GridTimes &b = grids[best()], &c = grids[choice()];
  double most = tokens_per_s(b.grid, b.measured());
  return most > 0 ? tokens_per_s(c.grid, c.measured()) / most : 0;
}

BenchReport report(const BenchModel& model, const GridsResult& r) {
  std::string text = fmt::format("Grids of {} ranks, a context of {} tokens\n\n{}", r.num_ranks,
                                 r.context, table(r));
  for (const auto& [grid, why] : r.left_out) text += fmt::format("{:<28} {}\n", grid.str(), why);
  Json json{{"backend", "litelang"},    {"version", kVersion},  {"model_id", model.name},
            {"num_ranks", r.num_ranks}, {"prompts", r.prompts}, {"prompt_len", r.prompt_len},
            {"batch_size", r.batch},    {"context", r.context}, {"grids", Json::array()}};
  for (const GridTimes& g : r.grids) json["grids"].push_back(json_of(r, g));
  if (!r.grids.empty()) {
    const GridShape &best = r.grids[r.best()].grid, &choice = r.grids[r.choice()].grid;
    double share = r.share_of_best();
    text += fmt::format(
        "\nBest measured: {}\nPlanner's choice: {}, {:.1f}% of the best's tokens a second\n",
        best.str(), choice.str(), 100 * share);
    json.update({{"best", best.str()}, {"choice", choice.str()}, {"choice_share_of_best", share}});
  }
  return {text, json.dump()};
}

}  // namespace ll
