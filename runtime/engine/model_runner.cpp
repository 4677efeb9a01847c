#include "runtime/engine/model_runner.h"

#include <algorithm>
#include <cmath>

#include "base/numbers.h"
#include "runtime/engine/measure_decode_one.h"

namespace ll {

namespace {

// Pages of the longest sequence.
int64_t max_pages(const RunnerOptions& o, const ModelShard& shard) {
  int64_t span = shard.positions(o.page_size).span();
  return ceil_div(o.max_length, span);
}

// Rows of the longest decode step and their samples; what chunks bring on top grows the buffer as
// needed. With speculation, the tokens of a prompt besides.
size_t upload_bytes(const RunnerOptions& o) {
  return static_cast<size_t>(o.max_num_batched_tokens) * 16 +
         static_cast<size_t>(o.max_samples()) * 256 + 65536 +
         (o.drafts.are_on() ? static_cast<size_t>(o.max_length) * 4 : 0);
}

template <class T>
T* data_of(const Tensor& t) {
  return static_cast<T*>(t.view().data);
}

}  // namespace

ModelRunner::ModelRunner(const RunnerOptions& options, const Backend& backend,
                         const ProcessGrid& grid, Stream stream, const ModelConfig& config,
                         const ModelShard& shard, DecoderWeights weights)
    : options_(options),
      backend_(backend),
      replica_(grid.replica()),
      stream_(stream),
      model_(config, shard, std::move(weights), backend, grid, options.max_num_batched_tokens,
             options.max_length),
      kv_(backend, {config, shard, model_.dtype()}, options.num_pages, options.page_size),
      sampler_(backend, grid.replica_comm(), shard.vocab, options.max_samples(),
               options.max_num_seqs),
      upload_(backend, stream, upload_bytes(options)),
      page_table_(backend.device, DType::i32, {options.max_num_seqs, max_pages(options, shard)}),
      last_tokens_(backend.device, DType::i32, {options.max_num_seqs}),
      gathered_(backend.device, model_.dtype(), {options.max_samples(), shard.hidden.size}),
      logits_(backend.device, DType::f32, {options.max_samples(), shard.vocab.size}),
      slots_(static_cast<size_t>(options.max_num_seqs)),
      graphs_(backend, stream, options.max_captured_rows()) {
  if (options.drafts.are_on())
    speculation_ = std::make_unique<Speculation>(options, backend, stream);
  if (options.graph_max_rows > 0) model_.prepare_decode_one(kv_);
  backend.device.fill(stream, page_table_.view().data, 0, page_table_.bytes());
  backend.device.fill(stream, last_tokens_.view().data, 0, last_tokens_.bytes());
}

ModelRunner::~ModelRunner() { backend_.device.synchronize(stream_); }

size_t ModelRunner::buffer_bytes(const RunnerOptions& o, const ModelPart& part, int ranks) {
  const ModelShard& shard = part.shard;
  auto seqs = static_cast<size_t>(o.max_num_seqs), samples = static_cast<size_t>(o.max_samples());
  return Decoder::activation_bytes(part, o.max_num_batched_tokens, o.max_length) +
         Sampler::buffer_bytes(ranks, shard.vocab, o.max_samples(), o.max_num_seqs) +
         upload_bytes(o) + (o.drafts.are_on() ? Speculation::bytes(o) : 0) +
         seqs * (static_cast<size_t>(max_pages(o, shard)) * 4 + 4) +
         samples * (static_cast<size_t>(shard.hidden.size) * size_of(part.dtype) +
                    static_cast<size_t>(shard.vocab.size) * 4);
}

std::unique_ptr<Flight> ModelRunner::take_flight() {
  if (idle_flights_.empty()) return std::make_unique<Flight>(backend_, options_.max_samples());
  auto flight = std::move(idle_flights_.back());
  idle_flights_.pop_back();
  return flight;
}

void ModelRunner::measure_products() {
  ll::measure_products({backend_, stream_, replica_, model_, kv_, logits_},
                       {options_.max_num_batched_tokens, graphs_.buckets(), options_.max_length});
}

void ModelRunner::measure_decode_one() {
  ll::measure_decode_one({backend_, stream_, replica_, model_, kv_, logits_}, options_.max_length);
}

// How a decode step is captured, if it is.
DecodeGraphs::Key ModelRunner::graph_of(const StepPlan& plan) const {
  if (!plan.is_decode_only()) return {};
  int32_t bucket = graphs_.bucket(static_cast<int32_t>(plan.decode.size()));
  bool groups = !plan.prefix_groups.empty();
  if (plan.gathered) return {bucket, DecodeGraphs::Mode::kGathered, groups};
  bool is_fused = bucket == 1 && model_.can_decode_one(plan.decode[0].position);
  return {bucket, is_fused ? DecodeGraphs::Mode::kOneKernel : DecodeGraphs::Mode::kStationary,
          groups};
}

void ModelRunner::launch(const StepPlan& plan) {
  for (const auto& s : plan.new_slots) slots_[static_cast<size_t>(s.slot)] = s.sampling;
  if (trace_) trace_->begin_step(plan.id, plan.num_tokens());
  std::unique_ptr<Flight> flight = take_flight();
  flight->is_timed = options_.collects || times_steps_;
  if (flight->is_timed) backend_.device.record(flight->begun, stream_);
  double collectives = Communicator::timed_seconds();
  SlotTables tables{.page_table = data_of<int32_t>(page_table_),
                    .page_table_stride = page_table_.view().dim(1),
                    .last_tokens = data_of<int32_t>(last_tokens_),
                    .sampling = slots_,
                    .positions = kv_.positions()};
  StepDescription step = describe_step(plan, graph_of(plan), tables, upload_, *flight);
  update_tables(step);
  if (step.is_captured())
    run_captured(step, *flight);
  else
    run_directly(step, *flight);
  if (trace_) trace_->end_step();
  backend_.device.record(flight->done, stream_);
  flight->collective_seconds = static_cast<float>(Communicator::timed_seconds() - collectives);
  flights_.push_back(std::move(flight));
}

// Page tables, page copies and token counts, before any row runs.
void ModelRunner::update_tables(const StepDescription& step) {
  if (!step.page_deltas.empty())
    backend_.ops.update_page_table(stream_, data_of<int32_t>(page_table_),
                                   page_table_.view().dim(1), step.page_deltas.data(),
                                   static_cast<int32_t>(step.page_deltas.size()));
  kv_.copy_pages(stream_, backend_.ops, step.page_copies.data(),
                 static_cast<int32_t>(step.page_copies.size()));
  if (speculation_) speculation_->start(step);
  for (const auto& c : step.counts) sampler_.reset_counts(stream_, c.slot, c.counted);
}

// A decode step: one row, one sample. Plain sampling is captured with it, the rest follows the
// graph.
void ModelRunner::run_captured(const StepDescription& step, Flight& flight) {
  TensorView logits = logits_.view().rows(0, step.graph.bucket);
  graphs_.run(step.graph, [&] {
    if (speculation_) speculation_->propose(step);
    if (step.graph.mode == DecodeGraphs::Mode::kOneKernel)
      model_.decode_one(stream_, step.inputs, logits);
    else
      model_.logits(stream_, model_.forward(stream_, step.inputs, kv_), logits);
    if (step.graph.samples) sample(step, logits);
  });
  if (!step.graph.samples) bring(sample(step, logits.rows(0, step.num_samples)), step, flight);
}

void ModelRunner::run_directly(const StepDescription& step, Flight& flight) {
  if (step.num_rows() == 0) return;  // a plan may only move pages
  if (speculation_) speculation_->propose(step);
  TensorView hidden = model_.forward(stream_, step.inputs, kv_);
  score_prompts(step, hidden, flight);
  int64_t rows = step.num_samples;
  if (rows == 0) return;
  TensorView picked = hidden.rows(0, std::min(rows, hidden.dim(0))),
             logits = logits_.view().rows(0, rows);
  if (!step.sample_rows.empty()) {
    picked = gathered_.view().rows(0, rows);
    backend_.ops.gather_rows(stream_, picked, hidden, step.sample_rows.data());
  }
  model_.logits(stream_, picked, logits);
  bring(sample(step, logits), step, flight);
}

ScoredRows ModelRunner::sample(const StepDescription& step, TensorView logits) {
  auto* last_tokens = data_of<int32_t>(last_tokens_);
  ScoredRows scores =
      sampler_.sample(stream_, {.logits = logits,
                                .rows = step.sampling.data(),
                                .edits = step.edits.data(),
                                .needs = step.needs,
                                .last_tokens = last_tokens,
                                .host_tokens = speculation_ ? nullptr : step.host_tokens});
  if (speculation_) speculation_->accept(step, logits.dim(0), sampler_.tokens(), last_tokens);
  return scores;
}

// Sends scores on their way to the host, as the tokens already are.
void ModelRunner::bring(const ScoredRows& scores, const StepDescription& step, Flight& flight) {
  if (options_.collects && flight.has_scores)
    flight.scores = bring_scores(scores, step.needs.num_logprobs, step.num_samples, flight.scored);
}

// Prompt rows in pieces of as many logits as there is room for.
void ModelRunner::score_prompts(const StepDescription& step, TensorView hidden, Flight& flight) {
  auto total = static_cast<int64_t>(step.prompt_rows.size());
  for (int64_t first = 0; first < total; first += options_.max_num_seqs) {
    int64_t rows = std::min<int64_t>(options_.max_num_seqs, total - first);
    TensorView picked = gathered_.view().rows(0, rows), logits = logits_.view().rows(0, rows);
    backend_.ops.gather_rows(stream_, picked, hidden, step.prompt_rows.data() + first);
    model_.logits(stream_, picked, logits);
    ScoredRows scores = sampler_.score(stream_, logits, step.prompt_targets.data() + first,
                                       step.num_prompt_logprobs);
    if (!options_.collects) continue;
    flight.prompt_pieces.push_back(
        bring_scores(scores, step.num_prompt_logprobs, rows, flight.scored));
  }
}

// To memory that the device writes to by itself: copies to any other would wait for the step, and
// the next one could not be planned meanwhile.
Scores ModelRunner::bring_scores(const ScoredRows& scores, int num_logprobs, int64_t rows,
                                 HostArena& to) {
  int64_t ranks = scores.max_and_sum.dim(0);
  auto bring = [&]<class T>(const void* device, int64_t num_values) {
    auto count = static_cast<size_t>(num_values);
    T* host = to.take<T>(count);
    if (count > 0) backend_.device.copy(stream_, host, device, count * sizeof(T));
    return std::span<const T>(host, count);
  };
  return {.num_logprobs = num_logprobs,
          .ranks = ranks,
          .rows = rows,
          .max_and_sum = bring.operator()<float>(scores.max_and_sum.data, ranks * rows * 2),
          .chosen = bring.operator()<float>(scores.chosen.data, rows),
          .top = bring.operator()<Candidate>(scores.top.data, ranks * rows * num_logprobs)};
}

StepResult ModelRunner::collect() {
  ensure(!flights_.empty(), "collect without a launched step");
  StepResult result = flights_.front()->take();
  land_oldest();
  return result;
}

StepResult ModelRunner::collect_tokens() {
  ensure(!flights_.empty(), "collect without a launched step");
  StepResult result = flights_.front()->take_tokens();
  land_oldest();
  return result;
}

void ModelRunner::time_steps() {
  times_steps_ = true;
  if (backend_.kind == BackendKind::kCpu) Communicator::time_collectives();
}

void ModelRunner::land_oldest() {
  idle_flights_.push_back(std::move(flights_.front()));
  flights_.pop_front();
}

bool ModelRunner::is_done() const {
  return !flights_.empty() && backend_.device.is_done(flights_.front()->done);
}

}  // namespace ll
