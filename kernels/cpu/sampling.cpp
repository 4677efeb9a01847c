#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>

#include "base/random.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/simd/simd.h"

namespace ll::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// -log(-log1p(-u)) for the smallest u that to_uniform makes, rounded up.
constexpr float kMaxGumbel = 22.9f;

uint32_t key_of(float logit) { return ordered_key(std::bit_cast<uint32_t>(logit)); }

float* row_of(const TensorView& logits, int64_t row) {
  return logits.as<float>() + row * logits.dim(1);
}

float gumbel(const SamplingRow& row, int32_t token) {
  float u = to_uniform(token_bits(row.seed, row.position, token));
  return -std::log(-std::log1p(-u));
}

bool better(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.token < b.token);
}

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
  if (by == SelectBy::kTopK) return 1;
  double p = std::exp((static_cast<double>(logit) - s.max) / row.temperature);
  return std::llround(p * static_cast<double>(int64_t{1} << kMassBits));
}

bool takes_part(const SamplingRow& row, SelectBy by) {
  if (row.slot < 0 || row.temperature <= 0) return false;
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
                     const int32_t* token_counts) {
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
    if (rows[r].temperature > 0 && rows[r].min_p > 0)
      s.low = key_of(max[r] + rows[r].temperature * std::log(rows[r].min_p));
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
      double wanted = by == SelectBy::kTopK ? rows[r].top_k
                                            : std::ceil(rows[r].top_p * static_cast<double>(total));
      s.prefix = 0;
      s.remaining =
          std::clamp<int64_t>(static_cast<int64_t>(wanted), 1, std::max<int64_t>(total, 1));
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
  for (int64_t r = 0; r < logits.dim(0); ++r)
    best[r] = draw_row(row_of(logits, r), logits.dim(1), rows[r],
                       selections && rows[r].temperature > 0 ? selections[r].low : 0, vocab_begin);
}

void choose(Stream, const ChooseArgs& a) {
  int32_t* host_tokens = a.host_tokens ? *a.host_tokens : nullptr;
  for (int32_t r = 0; r < a.num_rows; ++r) {
    Candidate best = a.gathered[r];
    for (int rank = 1; rank < a.num_ranks; ++rank) {
      const Candidate& other = a.gathered[rank * a.num_rows + r];
      if (better(other, best)) best = other;
    }
    a.tokens[r] = best.token;
    if (host_tokens) host_tokens[r] = best.token;
    int32_t slot = a.rows[r].slot;
    if (slot < 0) continue;
    a.last_tokens[slot] = best.token;
    int64_t local = best.token - a.vocab_begin;
    if (a.rows[r].has_penalties() && local >= 0 && local < a.vocab)
      ++a.token_counts[slot * a.vocab + local];
  }
}

void log_sum_exp(Stream, TensorView logits, float* max_and_sum) {
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

void top_logits(Stream, TensorView logits, int n, int64_t vocab_begin, Candidate* out) {
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < logits.dim(0); ++r) {
    const float* logit = row_of(logits, r);
    Candidate* top = out + r * n;
    std::fill(top, top + n, Candidate{-kInfinity, std::numeric_limits<int32_t>::max()});
    for (int64_t i = 0; i < logits.dim(1); ++i) {
      Candidate c{logit[i], static_cast<int32_t>(vocab_begin + i)};
      if (!better(c, top[n - 1])) continue;
      Candidate* at = std::upper_bound(top, top + n - 1, c, better);
      std::move_backward(at, top + n - 1, top + n);
      *at = c;
    }
  }
}

}  // namespace ll::cpu
