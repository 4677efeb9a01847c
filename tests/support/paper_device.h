#pragma once
// A device on paper for scheduler tests: keys are hashes of the prefix they stand for, and the
// "model" draws a token from the hash under its row. Whatever the scheduler shares, copies, evicts
// or recomputes, the drawn tokens must be those of each prompt on its own; a wrong page, row or
// order shows as a wrong hash.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/draw.h"
#include "runtime/schedule/request.h"
#include "runtime/schedule/step_plan.h"

namespace ll::test {

class PaperDevice {
 public:
  static constexpr uint64_t kEmpty = 0x1234567;

  int64_t num_groups = 0, num_nested = 0;  // that plans have had
  int64_t num_accepted = 0;                // drafts

  PaperDevice(int64_t num_pages, int64_t page_size, int32_t num_slots, int32_t vocab)
      : page_size_(page_size),
        vocab_(vocab),
        keys_(static_cast<size_t>(num_pages * page_size)),
        tables_(static_cast<size_t>(num_slots)),
        last_(static_cast<size_t>(num_slots)),
        lengths_(static_cast<size_t>(num_slots)),
        ends_(static_cast<size_t>(num_slots)) {}

  static uint64_t extend(uint64_t prefix, int32_t token) {
    uint64_t z = (prefix ^ static_cast<uint64_t>(token)) * 0x9E3779B97F4A7C15u;
    return z ^ (z >> 29);
  }
  // Token 0 ends about one sequence in sixteen draws.
  static int32_t draw(uint64_t prefix, uint64_t seed, int32_t vocab,
                      const std::vector<int32_t>& banned) {
    uint64_t z = (prefix + seed) * 0xBF58476D1CE4E5B9u;
    z ^= z >> 31;
    if (z % 16 == 0) return 0;
    auto token = static_cast<int32_t>(1 + (z >> 8) % static_cast<uint64_t>(vocab - 1));
    while (std::find(banned.begin(), banned.end(), token) != banned.end())
      token = 1 + token % (vocab - 1);
    return token;
  }

  // Runs a step; returns the drawn tokens.
  std::vector<int32_t> run(const StepPlan& flat) {
    StepPlan plan = StepPlan::decode_from(flat.encode());
    for (const auto& s : plan.new_slots) start(s);
    for (const auto& d : plan.page_deltas) {
      auto& table = tables_[static_cast<size_t>(d.slot)];
      if (table.size() <= static_cast<size_t>(d.index))
        table.resize(static_cast<size_t>(d.index) + 1, -1);
      table[static_cast<size_t>(d.index)] = d.page;
    }
    copy(plan.page_copies);
    check_groups(plan);
    std::vector<uint64_t> rows;
    std::vector<int32_t> drafts;  // what was put there; kNone: the row does not run
    for (size_t i = 0; i < plan.decode.size(); ++i) put_row(plan, i, rows, drafts);
    for (const auto& c : plan.chunks)
      for (size_t i = 0; i < c.tokens.size(); ++i)
        rows.push_back(put(c.slot, c.first_position + static_cast<int32_t>(i), c.tokens[i]));
    std::vector<int32_t> tokens;
    for (const auto& s : plan.samples) {
      size_t i = tokens.size();
      auto slot = static_cast<size_t>(s.slot);
      if (i < drafts.size() &&
          (drafts[i] == kNone || (!plan.is_first(i) && drafts[i] != tokens[i - 1]))) {
        tokens.push_back(drafts[i] == kNone ? kUndraftedToken : kRejectedToken);
        continue;
      }
      num_accepted += !plan.is_first(i);
      tokens.push_back(draw(rows.at(static_cast<size_t>(s.row)), seeds_[s.slot], vocab_,
                            banned_of(plan, i, last_[slot])));
      last_[slot] = tokens.back();
      ++lengths_[slot];
    }
    return tokens;
  }

  // What a prompt leads to without any scheduling.
  static std::vector<int32_t> answer(const Request& r, int32_t index, int32_t vocab) {
    uint64_t prefix = kEmpty,
             seed = r.params.seed + static_cast<uint64_t>(index) * 0x9E3779B97F4A7C15u;
    for (int32_t t : r.prompt) prefix = extend(prefix, t);
    std::vector<int32_t> out;
    while (static_cast<int32_t>(out.size()) < r.params.max_tokens) {
      out.push_back(draw(prefix, seed, vocab, ends_of_bad_words(r, out)));
      if (out.back() == 0 && !r.params.ignore_eos) break;
      prefix = extend(prefix, out.back());
    }
    return out;
  }

 private:
  static constexpr int32_t kNone = -1;

  void start(const StepPlan::NewSlot& s) {
    auto slot = static_cast<size_t>(s.slot);
    seeds_[s.slot] = s.sampling.seed;
    ends_[slot] = s.end;
    lengths_[slot] = static_cast<int32_t>(s.prompt.size() + s.output.size());
  }
  // Drafts are right more often than not.
  void put_row(const StepPlan& plan, size_t i, std::vector<uint64_t>& rows,
               std::vector<int32_t>& drafts) {
    StepPlan::DecodeRow d = plan.decode[i];
    auto slot = static_cast<size_t>(d.slot);
    int32_t token = last_[slot];
    if (ends_[slot] > 0) {
      auto place = static_cast<int32_t>(i % plan.rows_each());
      int32_t position = lengths_[slot] - 1 + place;
      if (position >= ends_[slot] || (place > 0 && (drafts.back() == kNone || rng_() % 8 == 0))) {
        rows.push_back(0);
        return drafts.push_back(kNone);
      }
      if (position > d.position) throw std::logic_error("a row is behind where it is at most");
      d.position = position;
      if (place > 0) token = draw(rows.back(), seeds_[d.slot], vocab_, {});
      if (place > 0 && rng_() % 4 == 0)
        token = static_cast<int32_t>(rng_() % static_cast<uint32_t>(vocab_));
    }
    rows.push_back(put(d.slot, d.position, token));
    drafts.push_back(token);
  }
  static std::vector<int32_t> banned_of(const StepPlan& plan, size_t sample, int32_t last) {
    std::vector<int32_t> banned;
    for (const StepPlan::Ban& b : plan.bans)
      if (b.sample == static_cast<int32_t>(sample) && (b.after < 0 || b.after == last))
        banned.push_back(b.token);
    return banned;
  }
  static std::vector<int32_t> ends_of_bad_words(const Request& r, const std::vector<int32_t>& out) {
    std::vector<int32_t> banned;
    for (const std::vector<int32_t>& word : r.params.bad_words)
      if (word.size() <= out.size() + 1 &&
          std::equal(word.begin(), word.end() - 1, out.end() - std::ssize(word) + 1))
        banned.push_back(word.back());
    return banned;
  }
  uint64_t& key(int32_t slot, int32_t position) {
    int32_t page =
        tables_[static_cast<size_t>(slot)].at(static_cast<size_t>(position / page_size_));
    return keys_.at(static_cast<size_t>(page * page_size_ + position % page_size_));
  }
  uint64_t put(int32_t slot, int32_t position, int32_t token) {
    uint64_t before = position == 0 ? kEmpty : key(slot, position - 1);
    return key(slot, position) = extend(before, token);
  }
  // Groups are what kernels/pages.h says, by the page tables of their rows.
  void check_groups(const StepPlan& plan) {
    auto demand = [](bool holds, const char* what) {
      if (!holds) throw std::logic_error(what);
    };
    for (size_t i = 0; i < plan.prefix_groups.size(); ++i) {
      const PrefixGroup& g = plan.prefix_groups[i];
      demand(g.num_rows > 1 && g.num_pages > 0 && g.first_row >= 0 &&
                 g.end_row() <= static_cast<int32_t>(plan.decode.size()),
             "a group of no rows or pages");
      demand(g.parent < static_cast<int32_t>(i), "a group before its parent");
      if (g.parent < 0)
        demand(g.first_page == 0, "an outermost group begins behind the first page");
      for (size_t j = 0; j < i; ++j) {
        const PrefixGroup& before = plan.prefix_groups[j];
        if (static_cast<int32_t>(j) == g.parent)
          demand(before.end_page() == g.first_page && before.first_row <= g.first_row &&
                     before.end_row() >= g.end_row(),
                 "a group that is not in its parent");
        else if (before.parent == g.parent)
          demand(before.end_row() <= g.first_row, "groups of one parent with a row in common");
      }
      for (int32_t row = g.first_row; row < g.end_row(); ++row) check_member(plan, g, row);
      ++num_groups;
      num_nested += g.parent >= 0;
    }
  }
  void check_member(const StepPlan& plan, const PrefixGroup& g, int32_t row) const {
    auto decode = [&](int32_t r) { return plan.decode[static_cast<size_t>(r)]; };
    auto table = [&](int32_t r) { return tables_[static_cast<size_t>(decode(r).slot)].begin(); };
    if (g.end_page() * page_size_ > decode(row).position)
      throw std::logic_error("a group's pages hold what is not computed yet");
    if (!std::equal(table(row) + g.first_page, table(row) + g.end_page(),
                    table(g.first_row) + g.first_page))
      throw std::logic_error("a group's rows have different pages");
  }
  void copy(const std::vector<PageCopy>& copies) {
    std::map<int32_t, int> sources;
    for (const PageCopy& c : copies) ++sources[c.source];
    for (const PageCopy& c : copies) {
      if (sources.contains(c.target))
        throw std::logic_error("a page is both source and target of copies");
      for (int32_t r = 0; r < c.num_rows; ++r)
        keys_.at(static_cast<size_t>(c.target * page_size_ + r)) =
            keys_.at(static_cast<size_t>(c.source * page_size_ + r));
      // The rest of a copied page must not be taken for keys.
      for (int64_t r = c.num_rows; r < page_size_; ++r)
        keys_.at(static_cast<size_t>(c.target * page_size_ + r)) = 0;
    }
  }

  int64_t page_size_;
  int32_t vocab_;
  std::vector<uint64_t> keys_;
  std::vector<std::vector<int32_t>> tables_;
  std::vector<int32_t> last_, lengths_, ends_;
  std::mt19937 rng_{9};
  std::map<int32_t, uint64_t> seeds_;
};

}  // namespace ll::test
