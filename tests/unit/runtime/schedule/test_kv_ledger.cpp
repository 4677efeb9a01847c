#include "runtime/schedule/kv_ledger.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>

#include "base/check.h"

using namespace ll;

namespace {

using Tokens = std::vector<int32_t>;

// A sequence without policy: tokens, how many of them are computed, and what it holds.
struct Holder {
  Tokens tokens;
  int32_t slot = 0, num_computed = 0;
  KvHold kv;

  std::span<const int32_t> computed() const {
    return std::span(tokens).first(static_cast<size_t>(num_computed));
  }
};

// Pages on paper: a row remembers which tokens its keys stand for. Reading a row that another
// sequence overwrote, or that was never filled, shows.
class PaperPages {
 public:
  PaperPages(int64_t num_pages, int64_t page_span, int32_t num_slots)
      : page_span_(page_span),
        rows_(static_cast<size_t>(num_pages * page_span)),
        tables_(static_cast<size_t>(num_slots)) {}

  void apply(const StepPlan& plan) {
    for (const PageDelta& d : plan.page_deltas) {
      Tokens& table = tables_[static_cast<size_t>(d.slot)];
      table.resize(std::max(table.size(), static_cast<size_t>(d.index) + 1), -1);
      table[static_cast<size_t>(d.index)] = d.page;
    }
    std::set<int32_t> targets;
    for (const PageCopy& c : plan.page_copies) targets.insert(c.target);
    for (const PageCopy& c : plan.page_copies) {
      REQUIRE(!targets.contains(c.source));
      for (int32_t r = 0; r < c.num_rows; ++r) row(c.target, r) = row(c.source, r);
    }
  }
  void write(const Holder& h, int32_t position) { at(h, position) = prefix(h, position); }
  void check(const Holder& h) {
    for (int32_t p = 0; p < h.num_computed; ++p) REQUIRE(at(h, p) == prefix(h, p));
  }

 private:
  static Tokens prefix(const Holder& h, int32_t position) {
    return {h.tokens.begin(), h.tokens.begin() + position + 1};
  }
  Tokens& row(int32_t page, int64_t r) { return rows_[static_cast<size_t>(page * page_span_ + r)]; }
  Tokens& at(const Holder& h, int32_t position) {
    auto index = static_cast<size_t>(position / page_span_);
    return row(tables_[static_cast<size_t>(h.slot)].at(index), position % page_span_);
  }

  int64_t page_span_;
  std::vector<Tokens> rows_;
  std::vector<Tokens> tables_;
};

// Sequences come, grow, fork and go at random; the books are checked after each operation, and
// each step what its rows would read.
class Rig {
 public:
  static constexpr int32_t kSlots = 4;

  Rig(uint32_t seed, int64_t num_pages, int64_t page_span, bool keeps_prefixes)
      : ledger(num_pages, page_span, keeps_prefixes),
        paper(num_pages, page_span, kSlots),
        rng_(seed),
        longest_(static_cast<int32_t>(num_pages * page_span)) {}
  ~Rig() {
    for (auto& h : holders) ledger.drop(h->kv);
  }

  void step(int64_t id) {
    ledger.begin_step(id);
    written_.clear();
    for (int i = 0; i < 4; ++i) {
      operate();
      check();
    }
    StepPlan plan;
    ledger.end_step(plan);
    check();
    paper.apply(plan);
    for (auto& [holder, position] : written_) paper.write(*holder, position);
    for (auto& h : holders)
      if (!h->kv.awaits_copy()) paper.check(*h);
  }

  void check() {
    std::vector<const KvHold*> holds;
    for (auto& h : holders) holds.push_back(&h->kv);
    ledger.check_integrity(holds);
  }

  KvLedger ledger;
  PaperPages paper;
  std::vector<std::shared_ptr<Holder>> holders;

 private:
  int32_t below(int32_t n) { return static_cast<int32_t>(rng_() % static_cast<uint32_t>(n)); }

  void operate() {
    switch (below(6)) {
      case 0:
        return start();
      case 1:
        return end();
      case 2:
        return fork();
      default:
        return grow();
    }
  }

  // A sequence with rows in the step neither goes nor forks in it, as with the scheduler.
  bool is_planned(const std::shared_ptr<Holder>& h) const {
    return std::any_of(written_.begin(), written_.end(), [&](auto& w) { return w.first == h; });
  }

  int32_t free_slot() const {
    for (int32_t slot = 0; slot < kSlots; ++slot)
      if (std::none_of(holders.begin(), holders.end(), [&](auto& h) { return h->slot == slot; }))
        return slot;
    return -1;
  }

  // Prompts have two tokens only, so that prefixes are shared at every depth; now and then without
  // a look into the cache, as a prompt that is scored, so that pages of the same tokens are there
  // twice.
  void start() {
    auto h = std::make_shared<Holder>();
    if ((h->slot = free_slot()) < 0) return;
    h->tokens.resize(static_cast<size_t>(1 + below(longest_)));
    for (int32_t& t : h->tokens) t = below(8) == 0;
    if (below(3) > 0)
      h->num_computed =
          ledger.take_known(h->kv, std::span(h->tokens).first(h->tokens.size() - 1), below(2) == 0);
    holders.push_back(h);
    check();
    if (below(8) == 0) {
      ledger.drop(h->kv);
      holders.pop_back();
      return;
    }
    ledger.enter(h->kv, h->slot);
  }

  void grow() {
    if (holders.empty()) return;
    auto h = holders[static_cast<size_t>(below(static_cast<int32_t>(holders.size())))];
    int32_t most = static_cast<int32_t>(h->tokens.size()) - h->num_computed;
    if (most == 0) return;
    int32_t end = h->num_computed + 1 + below(most);
    if (!ledger.extend(h->kv, h->slot, end)) {
      CHECK(ledger.num_free() == 0);
      if (h->kv.awaits_copy()) return;
      end = std::min(end, static_cast<int32_t>(ledger.num_positions(h->kv)));
    }
    for (; h->num_computed < end; ++h->num_computed) written_.emplace_back(h, h->num_computed);
    ledger.show(h->kv, h->computed());
  }

  void fork() {
    int32_t slot = free_slot();
    if (slot < 0 || holders.empty()) return;
    auto from = holders[static_cast<size_t>(below(static_cast<int32_t>(holders.size())))];
    if (from->kv.awaits_copy() || is_planned(from)) return;
    auto h = std::make_shared<Holder>(*from);
    h->slot = slot;
    h->kv = ledger.fork(from->kv, from->num_computed);
    for (size_t i = static_cast<size_t>(h->num_computed); i < h->tokens.size(); ++i)
      h->tokens[i] = below(2);
    ledger.enter(h->kv, slot);
    holders.push_back(h);
  }

  void end() {
    if (holders.empty()) return;
    auto at = holders.begin() + below(static_cast<int32_t>(holders.size()));
    if (is_planned(*at)) return;
    ledger.release((*at)->kv, (*at)->computed());
    holders.erase(at);
  }

  std::mt19937 rng_;
  int32_t longest_;
  std::vector<std::pair<std::shared_ptr<Holder>, int32_t>> written_;
};

// Computes all of `tokens` and shows them.
KvHold compute(KvLedger& ledger, const Tokens& tokens, int64_t step, int32_t slot = 0) {
  KvHold hold;
  ledger.begin_step(step);
  REQUIRE(ledger.extend(hold, slot, static_cast<int32_t>(tokens.size())));
  ledger.show(hold, tokens);
  StepPlan plan;
  ledger.end_step(plan);
  return hold;
}

void check(const KvLedger& ledger, std::vector<const KvHold*> holds) {
  ledger.check_integrity(holds);
}

}  // namespace

TEST_CASE("random holds on 4 to 8 pages keep the books and read their own tokens") {
  for (uint32_t seed = 0; seed < 120; ++seed) {
    CAPTURE(seed);
    Rig rig(seed, 4 + seed % 5, 1 + seed % 4, seed % 6 != 0);
    for (int64_t id = 1; id <= 80; ++id) rig.step(id);
  }
}

TEST_CASE("what one sequence computed the next takes over, whole pages and rows of a page") {
  KvLedger ledger(8, 4, true);
  KvHold first = compute(ledger, {1, 2, 3, 4, 5, 6, 7}, 1);
  check(ledger, {&first});
  ledger.release(first, Tokens{1, 2, 3, 4, 5, 6, 7});
  CHECK(ledger.num_in_use() == 0);
  CHECK(ledger.num_free() == 6);

  KvHold second;
  ledger.begin_step(2);
  CHECK(ledger.take_known(second, Tokens{1, 2, 3, 4, 5, 6, 9}, true) == 6);
  CHECK(second.num_shared == 1);
  CHECK(second.copy_source.rows == 2);
  check(ledger, {&second});
  REQUIRE(ledger.extend(second, 3, 7));
  CHECK(!second.awaits_copy());
  StepPlan plan;
  ledger.end_step(plan);
  REQUIRE(plan.page_copies.size() == 1);
  CHECK(plan.page_copies[0].target == second.pages[1]);
  CHECK(plan.page_copies[0].num_rows == 2);
  CHECK(plan.page_deltas.size() == 1);  // the shared page is written by enter()
  CHECK(plan.page_deltas[0].slot == 3);
  check(ledger, {&second});
  ledger.drop(second);
}

TEST_CASE("without a copy a match ends at a page") {
  KvLedger ledger(8, 4, true);
  KvHold first = compute(ledger, {1, 2, 3, 4, 5, 6}, 1), second;
  ledger.release(first, Tokens{1, 2, 3, 4, 5, 6});
  ledger.begin_step(2);
  CHECK(ledger.take_known(second, Tokens{1, 2, 3, 4, 5, 6}, false) == 4);
  CHECK(!second.awaits_copy());
  ledger.drop(second);
}

TEST_CASE("pages that a sequence holds are not given away, those of the cache alone are") {
  KvLedger ledger(4, 2, true);
  KvHold running = compute(ledger, {1, 1, 1, 1}, 1), ended = compute(ledger, {2, 2, 2, 2}, 2);
  ledger.release(ended, Tokens{2, 2, 2, 2});
  CHECK(ledger.num_free() == 0);
  CHECK(ledger.num_in_use() == 2);
  KvHold next;
  CHECK(!ledger.extend(next, 1, 6));
  CHECK(next.pages.size() == 2);  // what was got is kept
  check(ledger, {&running, &next});
  ledger.drop(next);
  ledger.drop(running);
  CHECK(ledger.num_in_use() == 0);
}

TEST_CASE(
    "a fork shares whole pages and copies the rest, before its leader's page goes to others") {
  KvLedger ledger(4, 4, false);
  KvHold leader = compute(ledger, {1, 2, 3, 4, 5}, 1);
  KvHold other = ledger.fork(leader, 5);
  CHECK(other.num_shared == 1);
  CHECK(other.copy_source.page == leader.pages[1]);
  check(ledger, {&leader, &other});
  ledger.begin_step(2);
  ledger.drop(leader);
  REQUIRE(ledger.extend(other, 1, 6));
  KvHold third;
  CHECK(!ledger.extend(third, 2, 12));
  CHECK(third.pages.size() == 1);  // the source of this step's copy is not among them
  StepPlan plan;
  ledger.end_step(plan);
  CHECK(ledger.num_free() == 1);
  check(ledger, {&other, &third});
  ledger.drop(other);
  ledger.drop(third);
}
