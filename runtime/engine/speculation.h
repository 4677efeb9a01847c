#pragma once
// What a runner keeps on its device for speculative decoding, and the ops before and after a step
// that work on it: kernels/speculation_ops.h.
#include "kernels/backend.h"
#include "runtime/engine/runner_options.h"
#include "runtime/engine/step_description.h"

namespace ll {

class Speculation {
 public:
  explicit Speculation(const RunnerOptions& options, const Backend& backend, Stream stream);

  // The sequences that take slots in this step; before propose().
  void start(const StepDescription& step);
  // Puts the step's decode rows where they are, with their drafts; before the step's rows run.
  void propose(const StepDescription& step);
  // `tokens` were drawn from the first `num_rows` samples of the step.
  void accept(const StepDescription& step, int64_t num_rows, const int32_t* tokens,
              int32_t* last_tokens);

  static size_t bytes(const RunnerOptions& options);

 private:
  TokenHistory history() const;

  DraftOptions options_;
  const Backend& backend_;
  Stream stream_;
  Tensor tokens_;          // [max_num_seqs, max_length + 1] int32
  Tensor lengths_, ends_;  // [max_num_seqs] int32
};

}  // namespace ll
