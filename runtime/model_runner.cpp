#include "runtime/model_runner.h"

#include <algorithm>
#include <cmath>

namespace ll {

// Places of a step's arrays; pointers after the upload.
struct ModelRunner::Step {
  StepInputs inputs;
  std::vector<Chunk> chunks;
  SamplingNeeds needs;
  const SamplingRow* sampling = nullptr;  // [samples]
  const int32_t* sample_rows = nullptr;   // [samples]; null: sample i is row i
  const LogitEdit* edits = nullptr;
  const int32_t* prompt_rows = nullptr;     // rows of the step whose next prompt token is scored
  const int32_t* prompt_targets = nullptr;  // those tokens
  std::vector<Flight::PromptRow> prompts;
  const PageDelta* page_deltas = nullptr;
  const PageCopy* page_copies = nullptr;
  struct Counts {
    int32_t slot, num_prompt, length;
    const int32_t* tokens;
  };
  std::vector<Counts> counts;
};

namespace {

int64_t max_pages(const RunnerOptions& o) { return (o.max_length + o.page_size - 1) / o.page_size; }

// Rows of the longest decode step and their samples; what chunks bring on top grows the buffer as
// needed.
size_t upload_bytes(const RunnerOptions& o) {
  return static_cast<size_t>(o.max_num_batched_tokens) * 16 +
         static_cast<size_t>(o.max_num_seqs) * 256 + 65536;
}

template <class T>
T* data_of(const Tensor& t) {
  return static_cast<T*>(t.view().data);
}

}  // namespace

ModelRunner::ModelRunner(const RunnerOptions& options, const Backend& backend,
                         const ProcessGrid& grid, Stream stream, const ModelConfig& config,
                         const ModelShard& shard, Qwen2Weights weights)
    : options_(options),
      backend_(backend),
      stream_(stream),
      model_(config, shard, std::move(weights), backend, grid, options.max_num_batched_tokens,
             options.max_length),
      kv_(backend, config, shard, model_.dtype(), options.num_pages, options.page_size),
      sampler_(backend, grid.replica_comm(), shard.vocab, options.max_num_seqs,
               options.max_num_seqs),
      upload_(backend, stream, upload_bytes(options)),
      page_table_(backend.device, DType::i32, {options.max_num_seqs, max_pages(options)}),
      last_tokens_(backend.device, DType::i32, {options.max_num_seqs}),
      gathered_(backend.device, model_.dtype(), {options.max_num_seqs, config.hidden_size}),
      logits_(backend.device, DType::f32, {options.max_num_seqs, shard.vocab.size}),
      slots_(static_cast<size_t>(options.max_num_seqs)) {
  backend.device.fill(stream, page_table_.view().data, 0, page_table_.bytes());
  backend.device.fill(stream, last_tokens_.view().data, 0, last_tokens_.bytes());
}

ModelRunner::~ModelRunner() { backend_.device.synchronize(stream_); }

size_t ModelRunner::buffer_bytes(const RunnerOptions& o, const ModelConfig& config,
                                 const ModelShard& shard, DType dtype, int ranks) {
  auto seqs = static_cast<size_t>(o.max_num_seqs);
  return Qwen2Model::activation_bytes(config, shard, dtype, o.max_num_batched_tokens,
                                      o.max_length) +
         Sampler::buffer_bytes(ranks, shard.vocab, o.max_num_seqs, o.max_num_seqs) +
         upload_bytes(o) +
         seqs * (static_cast<size_t>(max_pages(o)) * 4 + 4 +
                 static_cast<size_t>(config.hidden_size) * size_of(dtype) +
                 static_cast<size_t>(shard.vocab.size) * 4);
}

SamplingRow ModelRunner::sampling_row(const StepPlan::Sample& sample) const {
  const SlotSampling& s = slots_[static_cast<size_t>(sample.slot)];
  return {.slot = sample.slot,
          .position = sample.position,
          .seed = s.seed,
          .temperature = s.temperature,
          .top_p = s.top_p,
          .min_p = s.min_p,
          .top_k = s.top_k,
          .repetition_penalty = s.repetition_penalty,
          .presence_penalty = s.presence_penalty,
          .frequency_penalty = s.frequency_penalty,
          .has_counts = s.has_penalties()};
}

namespace {

struct Rows {
  std::vector<int32_t> ids, positions, slots;
};

Rows list_rows(const StepPlan& plan, std::vector<Chunk>& chunks) {
  Rows r;
  for (const auto& d : plan.decode) {
    r.ids.push_back(~d.slot);
    r.positions.push_back(d.position);
    r.slots.push_back(d.slot);
  }
  for (const auto& c : plan.chunks) {
    chunks.push_back({c.slot, static_cast<int32_t>(r.ids.size()),
                      static_cast<int32_t>(c.tokens.size()), c.first_position});
    for (size_t i = 0; i < c.tokens.size(); ++i) {
      r.ids.push_back(c.tokens[i]);
      r.positions.push_back(c.first_position + static_cast<int32_t>(i));
      r.slots.push_back(c.slot);
    }
  }
  return r;
}

// Biases and bans of the sampled rows.
std::vector<LogitEdit> list_edits(const StepPlan& plan, const std::vector<SlotSampling>& slots) {
  std::vector<LogitEdit> edits;
  for (size_t i = 0; i < plan.samples.size(); ++i) {
    const auto& sample = plan.samples[i];
    const SlotSampling& s = slots[static_cast<size_t>(sample.slot)];
    auto row = static_cast<int32_t>(i);
    for (auto [token, bias] : s.logit_bias) edits.push_back({row, token, bias});
    if (sample.position < s.min_position)
      for (int32_t token : s.banned_before) edits.push_back({row, token, -INFINITY});
  }
  return edits;
}

SamplingNeeds needs_of(const StepPlan& plan, const std::vector<SlotSampling>& slots) {
  SamplingNeeds needs;
  for (const auto& sample : plan.samples) {
    const SlotSampling& s = slots[static_cast<size_t>(sample.slot)];
    bool draws = s.temperature > 0;
    needs.penalties |= s.has_penalties();
    needs.top_k |= draws && s.top_k > 0;
    needs.top_p |= draws && s.top_p < 1;
    needs.min_p |= draws && s.min_p > 0;
    needs.num_logprobs = std::max(needs.num_logprobs, s.num_logprobs);
  }
  return needs;
}

}  // namespace

// Fills and sends everything the device needs to know of the step.
void ModelRunner::describe(const StepPlan& plan, Step& step) {
  Rows rows = list_rows(plan, step.chunks);
  std::vector<SamplingRow> sampling;
  std::vector<int32_t> sample_rows, prompt_rows, prompt_targets;
  bool in_order = true;
  for (size_t i = 0; i < plan.samples.size(); ++i) {
    sampling.push_back(sampling_row(plan.samples[i]));
    sample_rows.push_back(plan.samples[i].row);
    in_order &= plan.samples[i].row == static_cast<int32_t>(i);
  }
  int32_t scored_chunk = 0;
  for (size_t c = 0; c < plan.chunks.size(); ++c) {
    const auto& chunk = plan.chunks[c];
    if (chunk.num_prompt_logprobs < 0) continue;
    for (size_t i = 0; i < chunk.tokens.size(); ++i) {
      int32_t target = i + 1 < chunk.tokens.size() ? chunk.tokens[i + 1] : chunk.next_token;
      if (target < 0) continue;
      prompt_rows.push_back(step.chunks[c].first_row + static_cast<int32_t>(i));
      prompt_targets.push_back(target);
      step.prompts.push_back({scored_chunk, target, chunk.num_prompt_logprobs});
    }
    ++scored_chunk;
  }
  step.needs = needs_of(plan, slots_);
  std::vector<LogitEdit> edits = list_edits(plan, slots_);
  step.needs.num_edits = static_cast<int32_t>(edits.size());

  upload_.begin();
  auto ids = upload_.add(rows.ids);
  auto positions = upload_.add(rows.positions);
  auto slots = upload_.add(rows.slots);
  auto sampling_place = upload_.add(sampling);
  auto chunks = upload_.add(step.chunks);
  auto sample_rows_place = upload_.add(in_order ? std::vector<int32_t>() : sample_rows);
  auto edits_place = upload_.add(edits);
  auto prompt_rows_place = upload_.add(prompt_rows);
  auto targets_place = upload_.add(prompt_targets);
  auto deltas = upload_.add(plan.page_deltas);
  auto copies = upload_.add(plan.page_copies);
  std::vector<StagedUpload::Place<int32_t>> count_places;
  for (const auto& s : plan.new_slots) {
    if (!s.sampling.has_penalties()) continue;
    std::vector<int32_t> tokens = s.prompt;
    tokens.insert(tokens.end(), s.output.begin(), s.output.end());
    count_places.push_back(upload_.add(tokens));
    step.counts.push_back({s.slot, static_cast<int32_t>(s.prompt.size()),
                           static_cast<int32_t>(tokens.size()), nullptr});
  }
  upload_.upload();

  for (size_t i = 0; i < step.counts.size(); ++i)
    step.counts[i].tokens = upload_.get(count_places[i]);
  int32_t longest = 0;
  for (int32_t p : rows.positions) longest = std::max(longest, p + 1);
  step.inputs.batch = {.num_tokens = static_cast<int32_t>(rows.ids.size()),
                       .num_decode = static_cast<int32_t>(plan.decode.size()),
                       .positions = upload_.get(positions),
                       .slots = upload_.get(slots),
                       .page_table = data_of<int32_t>(page_table_),
                       .page_table_stride = page_table_.view().dim(1),
                       .chunks = step.chunks,
                       .device_chunks = upload_.get(chunks),
                       .max_kv_length = longest};
  step.inputs.ids = upload_.get(ids);
  step.inputs.last_tokens = data_of<int32_t>(last_tokens_);
  step.sampling = upload_.get(sampling_place);
  step.sample_rows = upload_.get(sample_rows_place);
  step.edits = upload_.get(edits_place);
  step.prompt_rows = upload_.get(prompt_rows_place);
  step.prompt_targets = upload_.get(targets_place);
  step.page_deltas = upload_.get(deltas);
  step.page_copies = upload_.get(copies);
}

void ModelRunner::launch(const StepPlan& plan) {
  for (const auto& s : plan.new_slots) slots_[static_cast<size_t>(s.slot)] = s.sampling;
  Step step;
  describe(plan, step);
  const Ops& ops = backend_.ops;
  if (!plan.page_deltas.empty())
    ops.update_page_table(stream_, data_of<int32_t>(page_table_), page_table_.view().dim(1),
                          step.page_deltas, static_cast<int32_t>(plan.page_deltas.size()));
  kv_.copy_pages(stream_, ops, step.page_copies, static_cast<int32_t>(plan.page_copies.size()));
  for (const auto& c : step.counts)
    sampler_.reset_counts(stream_, c.slot, c.tokens, c.num_prompt, c.length);

  std::unique_ptr<Flight> flight;
  if (idle_flights_.empty()) {
    flight = std::make_unique<Flight>(backend_, options_.max_num_seqs);
  } else {
    flight = std::move(idle_flights_.back());
    idle_flights_.pop_back();
  }
  TensorView hidden = model_.forward(stream_, step.inputs, kv_);
  run_prompt_scores(plan, step, hidden, *flight);
  run_samples(plan, step, hidden, *flight);
  if (!options_.collects) {
    idle_flights_.push_back(std::move(flight));
    return;
  }
  backend_.device.record(flight->done, stream_);
  flights_.push_back(std::move(flight));
}

void ModelRunner::run_samples(const StepPlan& plan, const Step& step, TensorView hidden,
                              Flight& flight) {
  auto rows = static_cast<int64_t>(plan.samples.size());
  flight.num_samples = rows;
  flight.has_scores = step.needs.num_logprobs >= 0;
  flight.wanted.clear();
  for (const auto& s : plan.samples)
    flight.wanted.push_back(slots_[static_cast<size_t>(s.slot)].num_logprobs);
  if (rows == 0) return;
  TensorView picked = hidden.rows(0, std::min(rows, hidden.dim(0)));
  if (step.sample_rows) {
    picked = gathered_.view().rows(0, rows);
    backend_.ops.gather_rows(stream_, picked, hidden, step.sample_rows);
  }
  TensorView logits = logits_.view().rows(0, rows);
  model_.logits(stream_, picked, logits);
  Sampler::Result drawn = sampler_.sample(
      stream_, {logits, step.sampling, step.edits, step.needs, data_of<int32_t>(last_tokens_)});
  if (!options_.collects) return;
  backend_.device.copy(stream_, flight.tokens, drawn.tokens,
                       static_cast<size_t>(rows) * sizeof(int32_t));
  if (flight.has_scores) copy_scores(drawn.scores, step.needs.num_logprobs, rows, flight.scores);
}

// Prompt rows in blocks of as many logits as there is room for.
void ModelRunner::run_prompt_scores(const StepPlan& plan, const Step& step, TensorView hidden,
                                    Flight& flight) {
  flight.prompt_rows = step.prompts;
  flight.prompt_blocks.clear();
  flight.num_prompt_chunks = 0;
  for (const auto& c : plan.chunks) flight.num_prompt_chunks += c.num_prompt_logprobs >= 0;
  int num_logprobs = 0;
  for (const auto& p : step.prompts) num_logprobs = std::max(num_logprobs, p.num_logprobs);
  auto total = static_cast<int64_t>(step.prompts.size());
  for (int64_t first = 0; first < total; first += options_.max_num_seqs) {
    int64_t rows = std::min<int64_t>(options_.max_num_seqs, total - first);
    TensorView picked = gathered_.view().rows(0, rows), logits = logits_.view().rows(0, rows);
    backend_.ops.gather_rows(stream_, picked, hidden, step.prompt_rows + first);
    model_.logits(stream_, picked, logits);
    ScoredRows scores = sampler_.score(stream_, logits, step.prompt_targets + first, num_logprobs);
    if (!options_.collects) continue;
    flight.prompt_blocks.emplace_back();
    copy_scores(scores, num_logprobs, rows, flight.prompt_blocks.back());
  }
}

void ModelRunner::copy_scores(const ScoredRows& scores, int num_logprobs, int64_t rows,
                              Scores& to) {
  int64_t ranks = scores.max_and_sum.dim(0);
  to.num_logprobs = num_logprobs;
  to.ranks = ranks;
  to.rows = rows;
  to.max_and_sum.resize(static_cast<size_t>(ranks * rows * 2));
  to.chosen.resize(static_cast<size_t>(rows));
  to.top.resize(static_cast<size_t>(ranks * rows * num_logprobs));
  auto bring = [&](auto& host, const void* device) {
    if (!host.empty())
      backend_.device.copy(stream_, host.data(), device, host.size() * sizeof(host[0]));
  };
  bring(to.max_and_sum, scores.max_and_sum.data);
  bring(to.chosen, scores.chosen.data);
  bring(to.top, scores.top.data);
}

StepResult ModelRunner::collect() {
  ensure(!flights_.empty(), "collect without a launched step");
  StepResult result = flights_.front()->take();
  idle_flights_.push_back(std::move(flights_.front()));
  flights_.pop_front();
  return result;
}

bool ModelRunner::is_done() const {
  return !flights_.empty() && backend_.device.is_done(flights_.front()->done);
}

}  // namespace ll
