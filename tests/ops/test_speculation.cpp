// Drafts and what stands of them, against the same said with vectors.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

using Tokens = std::vector<int32_t>;

const SpeculationOps& speculation_ops() { return backend().ops.speculation; }

// The tokens of all slots, here and on the device.
struct Histories {
  static constexpr int64_t kStride = 3000;

  explicit Histories(std::vector<Tokens> all, std::vector<int32_t> last_positions)
      : tokens_of(std::move(all)), ends(std::move(last_positions)) {
    std::vector<HistoryStart> starts;
    Tokens flat;
    for (size_t slot = 0; slot < tokens_of.size(); ++slot) {
      const Tokens& t = tokens_of[slot];
      starts.push_back({static_cast<int32_t>(slot), static_cast<int32_t>(flat.size()),
                        static_cast<int32_t>(t.size()), ends[slot]});
      flat.insert(flat.end(), t.begin(), t.end());
    }
    auto count = static_cast<int32_t>(starts.size());
    memory = poisoned({count, kStride}, DType::i32);
    lengths = poisoned({count}, DType::i32);
    device_ends = poisoned({count}, DType::i32);
    Tensor s = upload_structs(starts), list = upload_ints(flat);
    speculation_ops().start_histories(stream(), view(), data_of<HistoryStart>(s), count,
                                      data_of<int32_t>(list));
    finish();
  }

  TokenHistory view() const {
    return {data_of<int32_t>(memory), kStride, static_cast<int32_t>(tokens_of.size()),
            data_of<int32_t>(lengths), data_of<int32_t>(device_ends)};
  }
  void check_on_device() const {
    auto got = download<int32_t>(lengths.view().data, tokens_of.size());
    for (size_t slot = 0; slot < tokens_of.size(); ++slot) {
      const Tokens& want = tokens_of[slot];
      REQUIRE(got[slot] == static_cast<int32_t>(want.size()));
      CHECK(download<int32_t>(data_of<int32_t>(memory) + static_cast<int64_t>(slot) * kStride,
                              want.size()) == want);
    }
  }

  std::vector<Tokens> tokens_of;
  std::vector<int32_t> ends;
  Tensor memory, lengths, device_ends;
};

int32_t agreeing(const Tokens& at, size_t j, const Tokens& own, int32_t most) {
  int32_t m = 0;
  for (; m < most; ++m) {
    auto back = static_cast<size_t>(m);
    if (back > j || back >= own.size() || at[j - back] != own[own.size() - 1 - back]) break;
  }
  return m;
}

// The next tokens by the longest match: own before others', then the latest.
Tokens drafts_of(const std::vector<Tokens>& all, size_t slot, int32_t min_match, int32_t max_match,
                 size_t count) {
  const Tokens& own = all[slot];
  int32_t longest = min_match - 1, own_match = 0;
  Tokens best;
  auto look = [&](size_t other) {
    const Tokens& t = all[other];
    size_t begin = other == slot ? 0 : t.size() - std::min<size_t>(t.size(), kOtherTokens + 1);
    for (size_t j = begin; j + 1 < t.size(); ++j) {
      int32_t m = agreeing(t, j, own, max_match);
      bool beats = m > longest || (m == longest && (other == slot || m > own_match));
      if (m < min_match || !beats) continue;
      longest = m;
      Tokens whole(t.begin() + static_cast<int64_t>(j) + 1, t.end());
      best.clear();
      for (size_t i = 0; i < count; ++i) {
        if (other != slot && i >= whole.size()) break;
        best.push_back(whole[i % whole.size()]);
      }
    }
  };
  look(slot);
  own_match = longest;
  for (size_t other = 0; other < all.size(); ++other)
    if (other != slot) look(other);
  return best;
}

struct DraftedStep {
  DraftedStep(const Tokens& slots, size_t rows_each, size_t padded) : rows_each(rows_each) {
    for (int32_t slot : slots)
      for (size_t i = 0; i < rows_each; ++i) {
        row_slots.push_back(slot);
        ids.push_back(~slot);
        positions.push_back(777);
        sampling.push_back({Draw{.seed = 5}, slot, 778});
      }
    for (size_t i = 0; i < padded; ++i) {
      row_slots.push_back(0);
      ids.push_back(0);
      positions.push_back(-1);
      sampling.push_back({});
    }
  }

  void propose(const Histories& histories, int32_t min_match, int32_t max_match,
               bool fills = false) {
    device_ids = upload_ints(ids);
    Tensor slots = upload_ints(row_slots), where = upload_ints(positions);
    device_sampling = upload_structs(sampling);
    speculation_ops().propose_drafts(stream(), {.history = histories.view(),
                                                .num_rows = static_cast<int32_t>(ids.size()),
                                                .rows_each = static_cast<int32_t>(rows_each),
                                                .min_match = min_match,
                                                .max_match = max_match,
                                                .fills = fills,
                                                .slots = data_of<int32_t>(slots),
                                                .ids = data_of<int32_t>(device_ids),
                                                .positions = data_of<int32_t>(where),
                                                .sampling = data_of<SamplingRow>(device_sampling)});
    ids = download<int32_t>(device_ids.view().data, ids.size());
    positions = download<int32_t>(where.view().data, ids.size());
    sampling = download<SamplingRow>(device_sampling.view().data, ids.size());
  }

  // What comes to the host.
  Tokens accept(const Histories& histories, const Tokens& drawn, size_t num_decode,
                Tensor& last_tokens, float synthetic_length = 0) {
    auto& device = backend().device;
    auto* host = static_cast<int32_t*>(device.alloc_host(drawn.size() * sizeof(int32_t)));
    Tensor address = upload_structs(std::vector<int32_t*>{host}), tokens = upload_ints(drawn);
    device_sampling = upload_structs(sampling);
    speculation_ops().accept_drafts(stream(), {.history = histories.view(),
                                               .num_rows = static_cast<int32_t>(drawn.size()),
                                               .num_decode = static_cast<int32_t>(num_decode),
                                               .rows_each = static_cast<int32_t>(rows_each),
                                               .rows = data_of<SamplingRow>(device_sampling),
                                               .ids = data_of<int32_t>(device_ids),
                                               .tokens = data_of<int32_t>(tokens),
                                               .host_tokens = data_of<int32_t*>(address),
                                               .last_tokens = data_of<int32_t>(last_tokens),
                                               .synthetic_length = synthetic_length});
    finish();
    Tokens got(host, host + drawn.size());
    device.free_host(host);
    return got;
  }

  size_t rows_each;
  Tokens row_slots, ids, positions;
  std::vector<SamplingRow> sampling;
  Tensor device_ids, device_sampling;
};

Tokens random_tokens(std::mt19937& rng, size_t count, uint32_t vocab) {
  Tokens t(count);
  for (int32_t& token : t) token = static_cast<int32_t>(rng() % vocab);
  return t;
}

}  // namespace

TEST_CASE("drafts follow the longest match, and stand as far as they are drawn") {
  std::mt19937 rng(5);
  for (int round = 0; round < 60; ++round) {
    size_t num_slots = 1 + rng() % 6, rows_each = 1 + rng() % 8, padded = rng() % rows_each;
    uint32_t vocab = round % 3 == 0 ? 2 : 6;
    auto min_match = static_cast<int32_t>(1 + rng() % 3),
         max_match = min_match + static_cast<int32_t>(rng() % 6);
    std::vector<Tokens> all;
    Tokens ends, slots;
    for (size_t slot = 0; slot < num_slots; ++slot) {
      all.push_back(random_tokens(rng, 1 + rng() % (round % 5 == 0 ? 2500 : 40), vocab));
      // Some come to their end with a draft or two, one is there already.
      ends.push_back(static_cast<int32_t>(all.back().size() + rng() % 20) - 1);
      if (slot == 0 || rng() % 3 > 0) slots.push_back(static_cast<int32_t>(slot));
    }
    Histories histories(all, ends);
    histories.check_on_device();
    DraftedStep step(slots, rows_each, padded);
    step.propose(histories, min_match, max_match);

    Tokens drawn = random_tokens(rng, step.ids.size() + 2, vocab), want(drawn.size(), 0);
    for (size_t s = 0; s < slots.size(); ++s) {
      auto slot = static_cast<size_t>(slots[s]);
      auto length = static_cast<int32_t>(all[slot].size());
      Tokens drafts = drafts_of(all, slot, min_match, max_match, rows_each - 1);
      size_t stands = 0, runs = 0;
      for (size_t i = 0; i < rows_each; ++i) {
        size_t row = s * rows_each + i;
        int32_t position = length - 1 + static_cast<int32_t>(i);
        bool is_there = position < ends[slot] && i <= drafts.size();
        CAPTURE(round);
        CAPTURE(i);
        CHECK(step.positions[row] == (is_there ? position : -1));
        CHECK(step.sampling[row].slot == (is_there ? slots[s] : -1));
        if (is_there) CHECK(step.sampling[row].position == position + 1);
        CHECK(step.sampling[row].seed == 5);
        if (i == 0) CHECK(step.ids[row] == ~slots[s]);
        if (i > 0 && is_there) CHECK(step.ids[row] == drafts[i - 1]);
        // Half of them are drawn as they are, where the ones before were.
        if (i > 0 && is_there && rng() % 2) drawn[row - 1] = drafts[i - 1];
        runs += is_there;
      }
      for (size_t i = 0; i < rows_each; ++i) {
        size_t row = s * rows_each + i;
        bool is_right = i == 0 || (i < runs && stands == i && step.ids[row] == drawn[row - 1]);
        if (i < runs && is_right) ++stands;
        want[row] = i >= runs ? kUndraftedToken : i < stands ? drawn[row] : kRejectedToken;
        if (i < stands) histories.tokens_of[slot].push_back(drawn[row]);
      }
    }
    for (size_t i = 0; i < padded; ++i) {
      size_t row = slots.size() * rows_each + i;
      CHECK(step.positions[row] == -1);
      CHECK(step.sampling[row].slot == -1);
      want[row] = kUndraftedToken;
    }
    // The end of a prompt, and a sample that is padding.
    size_t row = step.ids.size();
    auto other = static_cast<int32_t>(num_slots - 1);
    bool has_other = slots.back() != other;
    step.sampling.push_back({{}, has_other ? other : -1, 9});
    step.sampling.push_back({});
    want[row] = has_other ? drawn[row] : kUndraftedToken;
    want[row + 1] = kUndraftedToken;
    if (has_other) histories.tokens_of[num_slots - 1].push_back(drawn[row]);

    Tensor last = upload_ints(Tokens(num_slots, -7));
    CHECK(step.accept(histories, drawn, step.ids.size(), last) == want);
    histories.check_on_device();
    auto kept = download<int32_t>(last.view().data, num_slots);
    for (size_t slot = 0; slot < num_slots; ++slot)
      CHECK(kept[slot] == (histories.tokens_of[slot].size() == all[slot].size()
                               ? -7
                               : histories.tokens_of[slot].back()));
  }
}

TEST_CASE("as many drafts stand as a benchmark says") {
  constexpr size_t kRowsEach = 5;
  for (float wanted : {1.0f, 2.5f, 5.0f}) {
    Histories histories({{1, 2, 3}}, {2900});
    Tensor last = upload_ints({0});
    double total = 0;
    for (int i = 0; i < 400; ++i) {
      DraftedStep step({0}, kRowsEach, 0);
      step.propose(histories, 2, 8, /*fills=*/true);
      CHECK(std::count(step.positions.begin(), step.positions.end(), -1) == 0);
      Tokens got = step.accept(histories, Tokens(kRowsEach, 9 + i), kRowsEach, last, wanted);
      total += static_cast<double>(std::count(got.begin(), got.end(), 9 + i));
    }
    CHECK(total / 400 == doctest::Approx(wanted).epsilon(0.05));
  }
}
