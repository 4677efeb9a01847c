#include "model/decoder/sampler.h"

namespace ll {
namespace {

Tensor floats(const Backend& backend, Shape shape) { return {backend.device, DType::f32, shape}; }
Tensor ints(const Backend& backend, Shape shape) { return {backend.device, DType::i32, shape}; }
template <class T>
Tensor structs(const Backend& backend, int64_t count) {
  return {backend.device, DType::u8, {count * static_cast<int64_t>(sizeof(T))}};
}
template <class T>
T* data_of(const Tensor& t) {
  return static_cast<T*>(t.view().data);
}
TensorView first(const Tensor& t, Shape shape) { return {t.view().data, t.view().dtype, shape}; }

}  // namespace

Sampler::Sampler(const Backend& backend, Communicator& comm, Range vocab, int64_t max_rows,
                 int64_t num_slots)
    : backend_(backend), comm_(comm), vocab_(vocab) {
  int64_t ranks = comm.size(), top = max_rows * kMaxLogprobs;
  raw_logits_ = floats(backend, {max_rows, vocab.size});
  counts_ = ints(backend, {num_slots, vocab.size});
  granule_keys_ = ints(backend, {max_rows, num_granules(vocab.size)});
  shortlists_ = structs<Shortlist>(backend, max_rows);
  all_shortlists_ = structs<Shortlist>(backend, ranks * max_rows);
  entries_ = structs<ShortlistEntries>(backend, max_rows);
  row_max_ = floats(backend, {max_rows});
  selections_ = structs<Selection>(backend, max_rows);
  histogram_ = Tensor(backend.device, DType::i64, {max_rows, kSelectBins});
  best_ = structs<Candidate>(backend, max_rows);
  gathered_ = structs<Candidate>(backend, ranks * max_rows);
  tokens_ = ints(backend, {max_rows});
  sums_ = floats(backend, {max_rows, 2});
  all_sums_ = floats(backend, {ranks, max_rows, 2});
  chosen_ = floats(backend, {max_rows});
  top_ = structs<Candidate>(backend, top);
  all_top_ = structs<Candidate>(backend, ranks * top);
}

size_t Sampler::buffer_bytes(int ranks, Range vocab, int64_t max_rows, int64_t num_slots) {
  auto rows = static_cast<size_t>(max_rows), parts = static_cast<size_t>(ranks),
       v = static_cast<size_t>(vocab.size);
  size_t keys = 4 * static_cast<size_t>(num_granules(vocab.size));
  size_t per_row = 4 * v + keys + sizeof(ShortlistEntries) + 4 + sizeof(Selection) +
                   8 * kSelectBins + 4 + 4 +
                   (1 + parts) * (sizeof(Candidate) * (1 + kMaxLogprobs) + 8 + sizeof(Shortlist));
  return rows * per_row + 4 * v * static_cast<size_t>(num_slots);
}

ScoredRows Sampler::sample(Stream stream, const Args& args) {
  const SamplingOps& ops = backend_.ops.sampling;
  const SamplingNeeds& needs = args.needs;
  int64_t rows = args.logits.dim(0);
  auto count = static_cast<int32_t>(rows);
  bool scored = needs.num_logprobs >= 0, edited = needs.num_edits > 0 || needs.penalties;
  TensorView raw = args.logits;  // logprobs are of the model's own distribution
  if (scored && edited) {
    raw = first(raw_logits_, args.logits.shape);
    backend_.device.copy(stream, raw.data, args.logits.data, raw.bytes());
  }
  if (needs.num_edits > 0)
    ops.edit_logits(stream, args.logits, args.rows, args.last_tokens, args.edits, needs.num_edits,
                    vocab_.begin);
  if (needs.penalties || needs.shortlists)
    ops.apply_penalties(stream, args.logits, args.rows,
                        needs.penalties ? data_of<int32_t>(counts_) : nullptr,
                        needs.shortlists ? data_of<uint32_t>(granule_keys_) : nullptr);
  if (needs.shortlists) draw_shortlists(stream, args);
  if (needs.others || !needs.shortlists)
    ops.draw(stream, args.logits, args.rows, select(stream, args, rows), vocab_.begin,
             data_of<Candidate>(best_));
  comm_.all_gather(stream, best_.view().data, gathered_.view().data,
                   static_cast<size_t>(rows) * sizeof(Candidate));
  ops.choose(stream, {data_of<Candidate>(gathered_), comm_.size(), args.rows, count,
                      data_of<int32_t>(tokens_), args.host_tokens, args.last_tokens,
                      data_of<int32_t>(counts_), vocab_.begin, vocab_.size});
  return scored ? score(stream, raw, data_of<int32_t>(tokens_), needs.num_logprobs) : ScoredRows{};
}

void Sampler::draw_shortlists(Stream stream, const Args& args) {
  const SamplingOps& ops = backend_.ops.sampling;
  auto* keys = data_of<uint32_t>(granule_keys_);
  auto* entries = data_of<ShortlistEntries>(entries_);
  ops.shortlist(stream, args.logits, args.rows, keys, vocab_.begin, data_of<Shortlist>(shortlists_),
                entries);
  comm_.all_gather(stream, shortlists_.view().data, all_shortlists_.view().data,
                   static_cast<size_t>(args.logits.dim(0)) * sizeof(Shortlist));
  ops.draw_shortlist(stream, {.logits = args.logits,
                              .rows = args.rows,
                              .granule_keys = keys,
                              .lists = data_of<Shortlist>(all_shortlists_),
                              .num_ranks = comm_.size(),
                              .entries = entries,
                              .vocab_begin = vocab_.begin,
                              .selections = data_of<Selection>(selections_),
                              .best = data_of<Candidate>(best_)});
}

// The radix select of sampling_ops.h; null when no row restricts its choice.
const Selection* Sampler::select(Stream stream, const Args& args, int64_t rows) {
  const SamplingNeeds& needs = args.needs;
  if (!needs.top_k && !needs.top_p && !needs.min_p) return nullptr;
  const SamplingOps& ops = backend_.ops.sampling;
  auto count = static_cast<int32_t>(rows);
  auto* selections = data_of<Selection>(selections_);
  ops.row_max(stream, args.logits, data_of<float>(row_max_));
  comm_.all_reduce_max(stream, first(row_max_, {rows}));
  ops.begin_selection(stream, args.rows, data_of<float>(row_max_), selections, count);
  auto narrow_by = [&](SelectBy by) {
    for (int round = 0; round < kSelectRounds; ++round) {
      ops.histogram(stream, args.logits, args.rows, selections, by, round,
                    data_of<int64_t>(histogram_));
      comm_.all_reduce_sum(stream, first(histogram_, {rows, kSelectBins}));
      ops.narrow(stream, args.rows, data_of<int64_t>(histogram_), by, round, selections, count);
    }
  };
  if (needs.top_k) narrow_by(SelectBy::kTopK);
  if (needs.top_p) narrow_by(SelectBy::kTopP);
  return selections;
}

ScoredRows Sampler::score(Stream stream, TensorView logits, const int32_t* targets,
                          int num_logprobs) {
  const SamplingOps& ops = backend_.ops.sampling;
  int64_t rows = logits.dim(0), ranks = comm_.size();
  ensure(num_logprobs <= kMaxLogprobs && rows <= chosen_.view().dim(0),
         "sampler: too many logprobs");
  auto* keys = data_of<uint32_t>(granule_keys_);
  ops.log_sum_exp(stream, logits, data_of<float>(sums_), num_logprobs > 0 ? keys : nullptr);
  comm_.all_gather(stream, sums_.view().data, all_sums_.view().data,
                   static_cast<size_t>(rows) * 2 * sizeof(float));
  ops.target_logits(stream, logits, targets, vocab_.begin, data_of<float>(chosen_));
  comm_.all_reduce_max(stream, first(chosen_, {rows}));
  size_t top_bytes = static_cast<size_t>(rows * num_logprobs) * sizeof(Candidate);
  if (num_logprobs > 0) {
    ops.top_logits(stream, logits, keys, num_logprobs, vocab_.begin, data_of<Candidate>(top_));
    comm_.all_gather(stream, top_.view().data, all_top_.view().data, top_bytes);
  }
  return {first(all_sums_, {ranks, rows, 2}), first(chosen_, {rows}),
          first(all_top_, {ranks, static_cast<int64_t>(top_bytes)})};
}

void Sampler::reset_counts(Stream stream, int32_t slot, const CountedTokens& counted) {
  backend_.ops.sampling.reset_counts(stream, data_of<int32_t>(counts_) + slot * vocab_.size,
                                     vocab_.size, counted, vocab_.begin);
}

}  // namespace ll
