#include "runtime/schedule/step_work.h"

#include <iterator>

namespace ll {
namespace {

constexpr int64_t StepWork::*kCounts[] = {&StepWork::steps,        &StepWork::rows,
                                          &StepWork::samples,      &StepWork::sequences,
                                          &StepWork::kv_positions, &StepWork::attention_pairs,
                                          &StepWork::prompt_pairs};
static_assert(sizeof(StepWork) == std::size(kCounts) * sizeof(int64_t));

// Queries at positions first, first + 1, ... each attend to all positions up to their own.
int64_t pairs_of(int64_t first, int64_t rows) { return rows * first + rows * (rows + 1) / 2; }

}  // namespace

StepWork StepWork::decode(int64_t sequences, int64_t context) {
  return {.steps = 1,
          .rows = sequences,
          .samples = sequences,
          .sequences = sequences,
          .kv_positions = sequences * context,
          .attention_pairs = sequences * pairs_of(context, 1)};
}

StepWork StepWork::prefill(int64_t prompts, int64_t length) {
  int64_t pairs = prompts * pairs_of(0, length);
  return {.steps = 1,
          .rows = prompts * length,
          .samples = prompts,
          .sequences = prompts,
          .attention_pairs = pairs,
          .prompt_pairs = pairs};
}

StepWork& StepWork::operator+=(const StepWork& o) {
  for (auto count : kCounts) this->*count += o.*count;
  return *this;
}

StepWork StepWork::operator-(const StepWork& o) const {
  StepWork difference = *this;
  for (auto count : kCounts) difference.*count -= o.*count;
  return difference;
}

StepWork work_of(const StepPlan& plan) {
  StepWork work{.steps = plan.num_tokens() > 0,
                .samples = static_cast<int64_t>(plan.samples.size()),
                .sequences = static_cast<int64_t>(plan.decode.size() / plan.rows_each() +
                                                  plan.chunks.size())};
  auto add = [&](int64_t first, int64_t rows, bool is_prompt) {
    work.rows += rows;
    work.kv_positions += first;
    work.attention_pairs += pairs_of(first, rows);
    if (is_prompt) work.prompt_pairs += pairs_of(first, rows);
  };
  for (size_t i = 0; i < plan.decode.size(); i += plan.rows_each())
    add(plan.decode[i].position, plan.num_drafts + 1, false);
  for (const auto& c : plan.chunks)
    add(c.first_position, static_cast<int64_t>(c.tokens.size()), true);
  return work;
}

}  // namespace ll
