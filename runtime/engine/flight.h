#pragma once
// A launched step's results on their way to the host.
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "runtime/engine/host_arena.h"
#include "runtime/schedule/step_result.h"

namespace ll {

// Logprob ingredients of `rows` scored rows over `ranks` parts of the vocabulary, as ScoredRows has
// them: of each part the largest, in their order.
struct Scores {
  int num_logprobs = 0;
  int64_t ranks = 0, rows = 0;
  std::span<const float> max_and_sum, chosen;
  std::span<const Candidate> top;

  // The row's drawn or given token, and `num_top` of the likeliest, at most num_logprobs.
  TokenLogprob at(int64_t row, int32_t token, int32_t num_top) const;

 private:
  float normaliser(int64_t row) const;
};

struct Flight {
  Flight(const Backend& backend, int64_t max_rows);
  ~Flight();
  Flight(const Flight&) = delete;
  Flight& operator=(const Flight&) = delete;

  // These wait for the step; scores are there on the rank that collects them.
  StepResult take();
  StepResult take_tokens();

  const Backend& backend;
  Event begun, done;
  bool is_timed = false;  // whether `begun` was recorded
  float collective_seconds = 0;
  int32_t* tokens = nullptr;  // pinned [max_rows]
  int64_t num_samples = 0;
  bool has_scores = false;
  HostArena scored;             // what scores and prompt_pieces are of
  std::vector<int32_t> wanted;  // num_logprobs of each sample; -1: none
  Scores scores;

  // A row whose next prompt token is scored; `chunk` counts those that are.
  struct PromptRow {
    int32_t chunk, target, num_logprobs;
  };
  std::vector<PromptRow> prompt_rows;
  // Prompt rows are scored piece by piece; pieces follow each other here.
  std::vector<Scores> prompt_pieces;
  size_t num_prompt_chunks = 0;
};

}  // namespace ll
