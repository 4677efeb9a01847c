#include "runtime/engine/speculation.h"

namespace ll {
namespace {

// The last token of the longest sequence is not fed back.
int64_t stride(const RunnerOptions& o) { return o.max_length + 1; }

int32_t* words_in(const Tensor& t) { return static_cast<int32_t*>(t.view().data); }

}  // namespace

Speculation::Speculation(const RunnerOptions& options, const Backend& backend, Stream stream)
    : options_(options.drafts),
      backend_(backend),
      stream_(stream),
      tokens_(backend.device, DType::i32, {options.max_num_seqs, stride(options)}),
      lengths_(backend.device, DType::i32, {options.max_num_seqs}),
      ends_(backend.device, DType::i32, {options.max_num_seqs}) {
  for (const Tensor* t : {&lengths_, &ends_})
    backend.device.fill(stream, t->view().data, 0, t->bytes());
}

size_t Speculation::bytes(const RunnerOptions& o) {
  return static_cast<size_t>(o.max_num_seqs) * static_cast<size_t>(stride(o) + 2) * sizeof(int32_t);
}

TokenHistory Speculation::history() const {
  return {.tokens = words_in(tokens_),
          .stride = tokens_.view().dim(1),
          .num_slots = static_cast<int32_t>(tokens_.view().dim(0)),
          .lengths = words_in(lengths_),
          .ends = words_in(ends_)};
}

void Speculation::start(const StepDescription& step) {
  backend_.ops.speculation.start_histories(stream_, history(), step.starts.data(),
                                           static_cast<int32_t>(step.starts.size()),
                                           step.start_tokens.data());
}

void Speculation::propose(const StepDescription& step) {
  const BatchView& batch = step.inputs.batch;
  backend_.ops.speculation.propose_drafts(stream_, {.history = history(),
                                                    .num_rows = batch.num_decode,
                                                    .rows_each = step.graph.num_drafts + 1,
                                                    .min_match = options_.min_match,
                                                    .max_match = options_.max_match,
                                                    .fills = options_.synthetic_length > 0,
                                                    .slots = batch.slots,
                                                    .ids = step.ids,
                                                    .positions = step.positions,
                                                    .sampling = step.sampling.data()});
}

void Speculation::accept(const StepDescription& step, int64_t num_rows, const int32_t* tokens,
                         int32_t* last_tokens) {
  auto rows = static_cast<int32_t>(num_rows);
  backend_.ops.speculation.accept_drafts(
      stream_, {.history = history(),
                .num_rows = rows,
                .num_decode = std::min(step.inputs.batch.num_decode, rows),
                .rows_each = step.graph.num_drafts + 1,
                .rows = step.sampling.data(),
                .ids = step.ids,
                .tokens = tokens,
                .host_tokens = step.host_tokens,
                .last_tokens = last_tokens,
                .synthetic_length = options_.synthetic_length});
}

}  // namespace ll
