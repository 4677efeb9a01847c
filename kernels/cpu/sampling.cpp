#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/sampling_rows.h"
#include "kernels/cpu/simd/simd.h"

namespace ll::cpu {
namespace {

// -log(-log1p(-u)) for the smallest u that to_uniform makes, rounded up.
constexpr float kMaxGumbel = 22.9f;

Candidate draw_row(const float* logits, int64_t vocab, const SamplingRow& row, uint32_t low,
                   int64_t vocab_begin) {
  Candidate best{-kInfinity, static_cast<int32_t>(vocab_begin)};
  bool greedy = row.temperature <= 0;
  float inverse = greedy ? 1.0f : 1.0f / row.temperature;
  auto consider = [&](int64_t i) {
    auto token = static_cast<int32_t>(vocab_begin + i);
    Candidate c{logits[i] * inverse + (greedy ? 0.0f : gumbel(row, token)), token};
    if (key_of(logits[i]) >= low && better(c, best)) best = c;
  };
  // The likeliest token first: its score rules out nearly all others before their noise is
  // computed.
  float highest = simd().max(logits, vocab);
  const float* top = std::find(logits, logits + vocab, highest);
  if (top == logits + vocab) return best;  // not a number anywhere
  consider(top - logits);
  float headroom = greedy ? 0.0f : kMaxGumbel;
  for (int64_t i = 0; i < vocab; ++i)
    if (logits[i] * inverse + headroom >= best.score) consider(i);
  return best;
}

// What one entry adds to its bin.
int64_t weight_of(float logit, const SamplingRow& row, const Selection& s, SelectBy by) {
  return by == SelectBy::kTopK ? 1 : mass_of(logit, s.max, row.temperature);
}

bool takes_part(const SamplingRow& row, SelectBy by) {
  if (row.slot < 0 || row.temperature <= 0 || row.has_shortlist()) return false;
  return by == SelectBy::kTopK ? row.top_k > 0 : row.top_p < 1;
}

}  // namespace

void edit_logits(Stream, TensorView logits, const SamplingRow* rows, const int32_t* last_tokens,
                 const LogitEdit* edits, int32_t count, int64_t vocab_begin) {
  for (const LogitEdit& e : std::span(edits, static_cast<size_t>(count))) {
    int64_t local = e.token - vocab_begin;
    bool holds = e.after < 0 || last_tokens[rows[e.row].slot] == e.after;
    if (holds && local >= 0 && local < logits.dim(1)) row_of(logits, e.row)[local] += e.bias;
  }
}

void apply_penalties(Stream, TensorView logits, const SamplingRow* rows,
                     const int32_t* token_counts, uint32_t*) {
  if (!token_counts) return;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < logits.dim(0); ++r) {
    const SamplingRow& row = rows[r];
    if (row.slot < 0 || !row.has_penalties()) continue;
    const int32_t* counts = token_counts + row.slot * logits.dim(1);
    float* logit = row_of(logits, r);
    for (int64_t i = 0; i < logits.dim(1); ++i) {
      if (counts[i] == 0) continue;
      if (counts[i] & kForbidden) {
        logit[i] = -kInfinity;
        continue;
      }
      logit[i] =
          logit[i] > 0 ? logit[i] / row.repetition_penalty : logit[i] * row.repetition_penalty;
      int32_t times = times_in_output(counts[i]);
      if (times > 0)
        logit[i] -= row.presence_penalty + row.frequency_penalty * static_cast<float>(times);
    }
  }
}

void reset_counts(Stream, int32_t* counts, int64_t vocab, const CountedTokens& counted,
                  int64_t vocab_begin) {
  std::fill(counts, counts + vocab, counted.num_allowed > 0 ? kForbidden : 0);
  for (int32_t i = 0; i < counted.length(); ++i) {
    int64_t local = counted.tokens[i] - vocab_begin;
    if (local < 0 || local >= vocab) continue;
    if (i < counted.num_allowed)
      counts[local] &= ~kForbidden;
    else if (i < counted.num_allowed + counted.num_prompt)
      counts[local] |= kInPrompt;
    else
      ++counts[local];
  }
}

void row_max(Stream, TensorView logits, float* out) {
  for (int64_t r = 0; r < logits.dim(0); ++r) out[r] = simd().max(row_of(logits, r), logits.dim(1));
}

void begin_selection(Stream, const SamplingRow* rows, const float* max, Selection* selections,
                     int32_t num_rows) {
  for (int32_t r = 0; r < num_rows; ++r) {
    Selection s;
    s.max = max[r];
    s.low = least_by_min_p(rows[r], max[r]);
    selections[r] = s;
  }
}

void histogram(Stream, TensorView logits, const SamplingRow* rows, const Selection* selections,
               SelectBy by, int round, int64_t* out) {
  int shift = select_shift(round), above = shift + select_width(round);
  uint32_t mask = (1u << select_width(round)) - 1;
#pragma omp parallel for schedule(dynamic)
  for (int64_t r = 0; r < logits.dim(0); ++r) {
    int64_t* bins = out + r * kSelectBins;
    std::fill(bins, bins + kSelectBins, 0);
    if (!takes_part(rows[r], by)) continue;
    const Selection& s = selections[r];
    const float* logit = row_of(logits, r);
    for (int64_t i = 0; i < logits.dim(1); ++i) {
      uint32_t key = key_of(logit[i]);
      bool shares_prefix = round == 0 || (key >> above) == (s.prefix >> above);
      if (key >= s.low && shares_prefix)
        bins[(key >> shift) & mask] += weight_of(logit[i], rows[r], s, by);
    }
  }
}

void narrow(Stream, const SamplingRow* rows, const int64_t* histogram, SelectBy by, int round,
            Selection* selections, int32_t num_rows) {
  for (int32_t r = 0; r < num_rows; ++r) {
    if (!takes_part(rows[r], by)) continue;
    const int64_t* bins = histogram + int64_t{r} * kSelectBins;
    Selection& s = selections[r];
    if (round == 0) {
      int64_t total = 0;
      for (int b = 0; b < kSelectBins; ++b) total += bins[b];
      s.prefix = 0;
      s.remaining = by == SelectBy::kTopK
                        ? std::clamp<int64_t>(rows[r].top_k, 1, std::max<int64_t>(total, 1))
                        : wanted_mass(rows[r].top_p, total);
    }
    int bin = (1 << select_width(round)) - 1;
    while (bins[bin] < s.remaining && bin > 0) s.remaining -= bins[bin--];
    s.prefix |= static_cast<uint32_t>(bin) << select_shift(round);
    if (round == kSelectRounds - 1) s.low = std::max(s.low, s.prefix);
  }
}

void draw(Stream, TensorView logits, const SamplingRow* rows, const Selection* selections,
          int64_t vocab_begin, Candidate* best) {
#pragma omp parallel for schedule(dynamic)
  for (int64_t r = 0; r < logits.dim(0); ++r) {
    if (rows[r].slot >= 0 && rows[r].has_shortlist()) continue;
    best[r] = draw_row(row_of(logits, r), logits.dim(1), rows[r],
                       selections && rows[r].temperature > 0 ? selections[r].low : 0, vocab_begin);
  }
}

void choose(Stream, const ChooseArgs& a) {
  int32_t* host_tokens = a.host_tokens ? *a.host_tokens : nullptr;
  for (int32_t r = 0; r < a.num_rows; ++r) {
    Candidate best = a.gathered[r];
    for (int rank = 1; rank < a.num_ranks; ++rank) {
      const Candidate& other = a.gathered[rank * a.num_rows + r];
      if (better(other, best)) best = other;
    }
    int32_t token = best.score == -kInfinity ? kUndrawnToken : best.token;
    a.tokens[r] = token;
    if (host_tokens) host_tokens[r] = token;
    int32_t slot = a.rows[r].slot;
    if (slot < 0) continue;
    a.last_tokens[slot] = best.token;
    int64_t local = best.token - a.vocab_begin;
    if (a.rows[r].has_penalties() && local >= 0 && local < a.vocab)
      ++a.token_counts[slot * a.vocab + local];
  }
}

void log_sum_exp(Stream, TensorView logits, float* max_and_sum, uint32_t*) {
  for (int64_t r = 0; r < logits.dim(0); ++r) {
    const float* logit = row_of(logits, r);
    float max = simd().max(logit, logits.dim(1));
    max_and_sum[2 * r] = max;
    max_and_sum[2 * r + 1] = simd().sum_exp(logit, logits.dim(1), max, 1.0f);
  }
}

void target_logits(Stream, TensorView logits, const int32_t* targets, int64_t vocab_begin,
                   float* out) {
  for (int64_t r = 0; r < logits.dim(0); ++r) {
    int64_t local = targets[r] - vocab_begin;
    out[r] = local >= 0 && local < logits.dim(1) ? row_of(logits, r)[local] : -kInfinity;
  }
}

}  // namespace ll::cpu
