// The few largest logits of a row, and draws among them.
#include <algorithm>
#include <span>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/sampling_rows.h"

namespace ll::cpu {
namespace {

// The n largest candidates of a row, in order.
std::vector<Candidate> largest(std::span<const float> logits, int n, int64_t vocab_begin) {
  std::vector<Candidate> top;
  auto most = static_cast<size_t>(n);
  top.reserve(most + 1);
  float least = -kInfinity;  // what a logit must exceed
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > least)) continue;
    Candidate c{logits[i], static_cast<int32_t>(vocab_begin + static_cast<int64_t>(i))};
    top.insert(std::upper_bound(top.begin(), top.end(), c, better), c);
    if (top.size() > most) top.pop_back();
    if (top.size() == most) least = top.back().score;
  }
  return top;
}

void list_row(std::span<const float> logits, int k, int64_t vocab_begin, Shortlist& list,
              ShortlistEntries& own) {
  std::vector<Candidate> top = largest(logits, k, vocab_begin);
  list.num_values = static_cast<int32_t>(top.size());
  own.count = 0;
  if (top.empty()) return;
  for (size_t i = 0, first = 0; i < top.size(); ++i) {
    list.values[i] = top[i].score;
    list.counts[i] = 0;
    if (top[i].score != top[first].score) first = i;
    ++list.counts[first];
  }
  float last = top.back().score;
  auto first = std::find(list.values, list.values + top.size(), last) - list.values;
  list.counts[first] = static_cast<int32_t>(std::count(logits.begin(), logits.end(), last));
  if (first + list.counts[first] > kShortlistRoom) {
    own.count = -1;
    return;
  }
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] >= last)
      own.entries[own.count++] = {logits[i],
                                  static_cast<int32_t>(vocab_begin + static_cast<int64_t>(i))};
}

// A value that logits of any rank have, and how many.
struct Value {
  float logit;
  int64_t count;
};

// From the largest on, each once.
std::vector<Value> values_of(const DrawShortlistArgs& a, int64_t row) {
  std::vector<Value> all, merged;
  for (int64_t rank = 0; rank < a.num_ranks; ++rank) {
    const Shortlist& list = a.lists[rank * a.logits.dim(0) + row];
    for (int32_t i = 0; i < list.num_values; ++i)
      if (list.counts[i] > 0) all.push_back({list.values[i], list.counts[i]});
  }
  std::sort(all.begin(), all.end(), [](auto x, auto y) { return x.logit > y.logit; });
  for (const Value& v : all)
    if (merged.empty() || merged.back().logit != v.logit)
      merged.push_back(v);
    else
      merged.back().count += v.count;
  return merged;
}

// The key of the least value that top_k, min_p and top_p leave.
uint32_t cut_of(std::vector<Value> values, const SamplingRow& row) {
  if (values.empty()) return UINT32_MAX;
  float max = values[0].logit;
  uint32_t least = least_by_min_p(row, max);
  int64_t count = 0, total = 0, above = 0;
  std::erase_if(values, [&](const Value& v) {
    bool is_in = key_of(v.logit) >= least && count < row.top_k;
    if (is_in) count += v.count, total += v.count * mass_of(v.logit, max, row.temperature);
    return !is_in;
  });
  int64_t wanted = wanted_mass(row.top_p, total);
  for (const Value& v : values) {
    above += v.count * mass_of(v.logit, max, row.temperature);
    if (row.top_p < 1 && above >= wanted) return key_of(v.logit);
  }
  return key_of(values.back().logit);
}

Candidate draw_row(const DrawShortlistArgs& a, int64_t r, uint32_t low) {
  const SamplingRow& row = a.rows[r];
  Candidate best{-kInfinity, static_cast<int32_t>(a.vocab_begin)};
  float inverse = 1.0f / row.temperature;
  auto consider = [&](float logit, int32_t token) {
    if (!(logit > -kInfinity) || key_of(logit + 0.0f) < low) return;
    Candidate c{logit * inverse + gumbel(row, token), token};
    if (better(c, best)) best = c;
  };
  const ShortlistEntries& own = a.entries[r];
  for (int32_t i = 0; i < own.count; ++i) consider(own.entries[i].score, own.entries[i].token);
  const float* logits = row_of(a.logits, r);
  if (own.count < 0)
    for (int64_t i = 0; i < a.logits.dim(1); ++i)
      consider(logits[i], static_cast<int32_t>(a.vocab_begin + i));
  return best;
}

}  // namespace

void shortlist(Stream, TensorView logits, const SamplingRow* rows, const uint32_t*,
               int64_t vocab_begin, Shortlist* lists, ShortlistEntries* entries) {
#pragma omp parallel for schedule(dynamic)
  for (int64_t r = 0; r < logits.dim(0); ++r) {
    if (rows[r].slot < 0 || !rows[r].has_shortlist()) continue;
    list_row({row_of(logits, r), static_cast<size_t>(logits.dim(1))}, rows[r].top_k, vocab_begin,
             lists[r], entries[r]);
  }
}

void draw_shortlist(Stream, const DrawShortlistArgs& a) {
#pragma omp parallel for schedule(dynamic)
  for (int64_t r = 0; r < a.logits.dim(0); ++r) {
    if (a.rows[r].slot < 0) a.best[r] = {-kInfinity, static_cast<int32_t>(a.vocab_begin)};
    if (a.rows[r].slot < 0 || !a.rows[r].has_shortlist()) continue;
    std::vector<Value> values = values_of(a, r);
    float max = values.empty() ? -kInfinity : values[0].logit;
    uint32_t low = cut_of(std::move(values), a.rows[r]);
    a.selections[r] = {.max = max, .low = low};
    a.best[r] = draw_row(a, r, low);
  }
}

void top_logits(Stream, TensorView logits, const uint32_t*, int n, int64_t vocab_begin,
                Candidate* out) {
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < logits.dim(0); ++r) {
    std::vector<Candidate> top =
        largest({row_of(logits, r), static_cast<size_t>(logits.dim(1))}, n, vocab_begin);
    top.resize(static_cast<size_t>(n), {-kInfinity, std::numeric_limits<int32_t>::max()});
    std::copy(top.begin(), top.end(), out + r * n);
  }
}

}  // namespace ll::cpu
