#pragma once
// Mechanism: runs plans on this rank's shard. launch() only enqueues; on a GPU nothing in it waits
// for the device. Every rank of a replica launches the same plans in the same order and learns
// which tokens were drawn; one of them collects all that came of a step.
#include <deque>
#include <memory>

#include "model/decoder/decoder.h"
#include "model/decoder/sampler.h"
#include "runtime/engine/decode_graphs.h"
#include "runtime/engine/flight.h"
#include "runtime/engine/runner_options.h"
#include "runtime/engine/speculation.h"
#include "runtime/engine/staged_upload.h"
#include "runtime/engine/step_description.h"
#include "runtime/engine/step_trace.h"
#include "runtime/schedule/step_plan.h"

namespace ll {

class ModelRunner {
 public:
  ModelRunner(const RunnerOptions& options, const Backend& backend, const ProcessGrid& grid,
              Stream stream, const ModelConfig& config, const ModelShard& shard,
              DecoderWeights weights);
  ~ModelRunner();

  // Lets the backend measure how to do the products of the steps to come, so that none of them
  // waits for it; those with gathered weights still do. Before the first launch; collective over
  // the replica.
  void measure_products();
  // Decides how steps of one sequence are done, once products are measured; see
  // runtime/engine/measure_decode_one.h.
  void measure_decode_one();
  void launch(const StepPlan& plan);
  // The result of the oldest launched step; waits for it. Only where options.collects.
  StepResult collect();
  // Tokens and time alone, on any rank.
  StepResult collect_tokens();
  // Whether collect() would not wait.
  bool is_done() const;

  Decoder& model() { return model_; }
  // Times steps from here on, also where nothing else is collected, and on a CPU their collectives.
  // (On a GPU these are kernels of a captured step, often one with what follows them.)
  void time_steps();
  // Records the steps from here on; null ends it. The trace outlives its use here.
  void record_steps(StepTrace* trace) { trace_ = trace; }

  // Device bytes besides weights and KV pages.
  static size_t buffer_bytes(const RunnerOptions& options, const ModelPart& part, int ranks);

 private:
  std::unique_ptr<Flight> take_flight();
  void land_oldest();
  DecodeGraphs::Key graph_of(const StepPlan& plan) const;
  void update_tables(const StepDescription& step);
  void run_captured(const StepDescription& step, Flight& flight);
  void run_directly(const StepDescription& step, Flight& flight);
  ScoredRows sample(const StepDescription& step, TensorView logits);
  void score_prompts(const StepDescription& step, TensorView hidden, Flight& flight);
  void bring(const ScoredRows& scores, const StepDescription& step, Flight& flight);
  Scores bring_scores(const ScoredRows& scores, int num_logprobs, int64_t rows, HostArena& to);

  RunnerOptions options_;
  const Backend& backend_;
  const MpiGroup& replica_;
  Stream stream_;
  Decoder model_;
  KvCache kv_;
  Sampler sampler_;
  StagedUpload upload_;
  Tensor page_table_;   // [max_num_seqs, max pages of a sequence] int32
  Tensor last_tokens_;  // [max_num_seqs] int32
  Tensor gathered_;     // [max logit rows, E of this rank]
  Tensor logits_;       // [max logit rows, V] float32
  std::vector<SlotSampling> slots_;
  DecodeGraphs graphs_;
  std::unique_ptr<Speculation> speculation_;  // null: without
  StepTrace* trace_ = nullptr;
  bool times_steps_ = false;
  std::deque<std::unique_ptr<Flight>> flights_;
  std::vector<std::unique_ptr<Flight>> idle_flights_;
};

}  // namespace ll
