#pragma once
// Rows drawn as ranks of a sharded vocabulary do it, op by op; and what a draw must be like.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/device.h"

namespace ll::test {

inline std::vector<float> slice(const std::vector<float>& logits, size_t rows, size_t vocab,
                                size_t begin, size_t size) {
  std::vector<float> out;
  for (size_t r = 0; r < rows; ++r)
    out.insert(out.end(), logits.begin() + static_cast<int64_t>(r * vocab + begin),
               logits.begin() + static_cast<int64_t>(r * vocab + begin + size));
  return out;
}

// Where tokens come to the host by themselves.
class HostTokens {
 public:
  explicit HostTokens(size_t count)
      : count_(count),
        memory_(static_cast<int32_t*>(backend().device.alloc_host(count * sizeof(int32_t)))),
        address_(upload_structs(std::vector<int32_t*>{memory_})) {
    std::fill_n(memory_, count, -1);
  }
  ~HostTokens() { backend().device.free_host(memory_); }
  HostTokens(const HostTokens&) = delete;
  HostTokens& operator=(const HostTokens&) = delete;

  int32_t* const* address() const { return data_of<int32_t*>(address_); }
  std::vector<int32_t> tokens() const {
    finish();
    return {memory_, memory_ + count_};
  }

 private:
  size_t count_;
  int32_t* memory_;
  Tensor address_;
};

// Draws every row over `shards` parts of the vocabulary, as as many ranks would.
inline std::vector<int32_t> draw_tokens(const std::vector<float>& logits,
                                        const std::vector<SamplingRow>& rows, size_t vocab,
                                        size_t shards, std::vector<Selection>* cut = nullptr) {
  size_t n = rows.size();
  auto count = static_cast<int32_t>(n);
  Tensor device_rows = upload_structs(rows);
  const auto* row = data_of<SamplingRow>(device_rows);
  std::vector<Tensor> parts, keys, entries;
  std::vector<size_t> begins;
  std::vector<Shortlist> lists;
  std::vector<float> max(n, -INFINITY);
  for (size_t s = 0; s < shards; ++s) {
    size_t begin = vocab * s / shards, size = vocab * (s + 1) / shards - begin;
    begins.push_back(begin);
    parts.push_back(upload(slice(logits, n, vocab, begin, size),
                           {count, static_cast<int64_t>(size)}, DType::f32));
    Tensor m = poisoned({count}, DType::f32);
    backend().ops.sampling.row_max(stream(), parts[s], data_of<float>(m));
    auto got = download_floats(m);
    for (size_t r = 0; r < n; ++r) max[r] = std::max(max[r], got[r]);
    keys.push_back(poisoned({count, num_granules(static_cast<int64_t>(size))}, DType::i32));
    entries.push_back(upload_structs(std::vector<ShortlistEntries>(n)));
    backend().ops.sampling.apply_penalties(stream(), parts[s], row, nullptr,
                                           data_of<uint32_t>(keys[s]));
    Tensor own = upload_structs(std::vector<Shortlist>(n));
    backend().ops.sampling.shortlist(stream(), parts[s], row, data_of<uint32_t>(keys[s]),
                                     static_cast<int64_t>(begin), data_of<Shortlist>(own),
                                     data_of<ShortlistEntries>(entries[s]));
    auto listed = download<Shortlist>(own.view().data, n);
    lists.insert(lists.end(), listed.begin(), listed.end());
  }
  Tensor global_max = upload(max, {count}, DType::f32),
         selections = upload_structs(std::vector<Selection>(n));
  auto* selection = data_of<Selection>(selections);
  backend().ops.sampling.begin_selection(stream(), row, data_of<float>(global_max), selection,
                                         count);
  for (SelectBy by : {SelectBy::kTopK, SelectBy::kTopP})
    for (int round = 0; round < kSelectRounds; ++round) {
      std::vector<int64_t> total(n * kSelectBins);
      for (const Tensor& part : parts) {
        Tensor h = poisoned({count, kSelectBins}, DType::i64);
        backend().ops.sampling.histogram(stream(), part, row, selection, by, round,
                                         data_of<int64_t>(h));
        auto got = download<int64_t>(h.view().data, total.size());
        for (size_t i = 0; i < total.size(); ++i) total[i] += got[i];
      }
      Tensor sum = upload(total, {count, kSelectBins}, DType::i64);
      backend().ops.sampling.narrow(stream(), row, data_of<int64_t>(sum), by, round, selection,
                                    count);
    }
  Tensor all_lists = upload_structs(lists);
  std::vector<Candidate> gathered;
  for (size_t s = 0; s < shards; ++s) {
    Tensor best = upload_structs(std::vector<Candidate>(n));
    backend().ops.sampling.draw(stream(), parts[s], row, selection, static_cast<int64_t>(begins[s]),
                                data_of<Candidate>(best));
    backend().ops.sampling.draw_shortlist(stream(),
                                          {.logits = parts[s],
                                           .rows = row,
                                           .granule_keys = data_of<uint32_t>(keys[s]),
                                           .lists = data_of<Shortlist>(all_lists),
                                           .num_ranks = static_cast<int>(shards),
                                           .entries = data_of<ShortlistEntries>(entries[s]),
                                           .vocab_begin = static_cast<int64_t>(begins[s]),
                                           .selections = selection,
                                           .best = data_of<Candidate>(best)});
    auto got = download<Candidate>(best.view().data, n);
    gathered.insert(gathered.end(), got.begin(), got.end());
  }
  if (cut) *cut = download<Selection>(selection, n);
  Tensor all = upload_structs(gathered), tokens = upload_ints(std::vector<int32_t>(n, -1));
  int32_t slots = 0;
  for (const SamplingRow& r : rows) slots = std::max(slots, r.slot + 1);
  Tensor last = upload_ints(std::vector<int32_t>(static_cast<size_t>(std::max(slots, 1)), -1));
  HostTokens on_host(n);
  backend().ops.sampling.choose(stream(), {data_of<Candidate>(all), static_cast<int>(shards), row,
                                           count, data_of<int32_t>(tokens), on_host.address(),
                                           data_of<int32_t>(last), nullptr, 0, 0});
  auto result = download<int32_t>(tokens.view().data, n),
       kept = download<int32_t>(last.view().data, static_cast<size_t>(std::max(slots, 1)));
  for (size_t r = 0; r < n; ++r)
    if (rows[r].slot >= 0)
      CHECK(kept[static_cast<size_t>(rows[r].slot)] ==
            (result[r] == kUndrawnToken ? 0 : result[r]));
  CHECK(on_host.tokens() == result);
  return result;
}

// What top_k, top_p and min_p leave, by sorting: the probabilities of a row.
inline std::vector<double> probabilities(const float* logits, size_t vocab,
                                         const SamplingRow& row) {
  double max = *std::max_element(logits, logits + vocab);
  std::vector<double> p(vocab);
  for (size_t i = 0; i < vocab; ++i) p[i] = std::exp((logits[i] - max) / row.temperature);
  std::vector<size_t> order(vocab);
  for (size_t i = 0; i < vocab; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  auto drop_below = [&](float cut) {
    for (size_t i = 0; i < vocab; ++i)
      if (logits[i] < cut) p[i] = 0;
  };
  if (row.min_p > 0)
    for (double& x : p)
      if (x < row.min_p) x = 0;
  if (row.top_k > 0 && static_cast<size_t>(row.top_k) < vocab)
    drop_below(logits[order[static_cast<size_t>(row.top_k) - 1]]);
  double total = 0, sum = 0;
  for (double x : p) total += x;
  if (row.top_p < 1)
    for (size_t i : order)
      if ((sum += p[i]) >= row.top_p * total) {
        drop_below(logits[i]);
        break;
      }
  total = 0;
  for (double x : p) total += x;
  for (double& x : p) x /= total;
  return p;
}

}  // namespace ll::test
