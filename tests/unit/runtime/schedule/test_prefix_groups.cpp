#include "runtime/schedule/prefix_groups.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

using namespace ll;

namespace {

using Pages = std::vector<int32_t>;

int32_t common_pages(const Pages& a, const Pages& b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  return static_cast<int32_t>(n);
}

// Sequences that come, grow and go: each begins as another one does, or not.
class Crowd {
 public:
  explicit Crowd(unsigned seed) : rng_(seed) {}

  int32_t enter(int32_t slot) {
    Pages pages;
    if (!all.empty() && rng_() % 4 > 0) {
      const Pages& other = std::next(all.begin(), below(all.size()))->second;
      pages.assign(other.begin(), other.begin() + below(other.size()));
    }
    for (int64_t n = 1 + below(3); n > 0; --n) pages.push_back(next_page_++);
    all[slot] = std::move(pages);
    return slot;
  }
  void grow() {
    for (auto& [slot, pages] : all)
      if (rng_() % 3 == 0) pages.push_back(next_page_++);
  }
  // Some of the slots, in any order.
  std::vector<int32_t> some() {
    std::vector<int32_t> slots;
    for (const auto& [slot, pages] : all)
      if (rng_() % 8 > 0) slots.push_back(slot);
    std::shuffle(slots.begin(), slots.end(), rng_);
    return slots;
  }
  int64_t below(size_t n) { return static_cast<int64_t>(rng_() % n); }

  std::map<int32_t, Pages> all;

 private:
  std::mt19937 rng_;
  int32_t next_page_ = 0;
};

// The groups are what they should be, and of every row the most is read that enough rows share.
void check_groups(const PrefixOrder::Arrangement& arranged, const std::vector<const Pages*>& given,
                  const PrefixRules& rules) {
  std::vector<const Pages*> rows;
  for (int32_t row : arranged.rows) rows.push_back(given[static_cast<size_t>(row)]);
  std::vector<int32_t> ends(rows.size());
  for (const PrefixGroup& g : arranged.groups) {
    REQUIRE(g.num_rows >= rules.min_rows);
    REQUIRE(g.num_pages >= rules.min_pages);
    for (int32_t row = g.first_row; row < g.end_row(); ++row) {
      auto i = static_cast<size_t>(row);
      REQUIRE(common_pages(*rows[i], *rows[static_cast<size_t>(g.first_row)]) >= g.end_page());
      REQUIRE(g.end_page() < static_cast<int32_t>(rows[i]->size()));
      REQUIRE(ends[i] == g.first_page);
      ends[i] = g.end_page();
    }
  }
  if (rules.min_pages > 1) return;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<int32_t> with;
    for (size_t j = 0; j < rows.size(); ++j)
      if (j != i) with.push_back(common_pages(*rows[i], *rows[j]));
    std::sort(with.begin(), with.end(), std::greater<>());
    auto others = static_cast<size_t>(rules.min_rows - 1);
    REQUIRE(ends[i] == (with.size() < others ? 0 : with[others - 1]));
  }
}

}  // namespace

TEST_CASE("groups of sequences that come and go are those that their pages tell") {
  for (PrefixRules rules : {PrefixRules{2, 1}, PrefixRules{3, 1}, PrefixRules{5, 1},
                            PrefixRules{2, 3}, PrefixRules{4, 2}}) {
    constexpr int32_t kSlots = 40;
    Crowd crowd(static_cast<unsigned>(rules.min_rows));
    PrefixOrder order(rules, kSlots);
    size_t num_groups = 0, num_nested = 0;
    for (int step = 0; step < 400; ++step) {
      auto slot = static_cast<int32_t>(crowd.below(kSlots));
      if (order.has(slot)) {
        order.remove(slot);
        crowd.all.erase(slot);
      } else {
        crowd.enter(slot);
        order.add(slot, crowd.all.at(slot));
      }
      crowd.grow();
      std::vector<int32_t> slots = crowd.some();
      std::vector<const Pages*> given;
      for (int32_t s : slots) given.push_back(&crowd.all.at(s));
      const PrefixOrder::Arrangement& arranged = order.arrange(slots);
      std::vector<int32_t> rows = arranged.rows;
      std::sort(rows.begin(), rows.end());
      for (size_t i = 0; i < rows.size(); ++i) REQUIRE(rows[i] == static_cast<int32_t>(i));
      REQUIRE(rows.size() == slots.size());
      check_groups(arranged, given, rules);
      num_groups += arranged.groups.size();
      for (const PrefixGroup& g : arranged.groups) num_nested += g.parent >= 0;
      // The same rows again: the same groups.
      auto before = arranged.groups;
      REQUIRE(order.arrange(slots).groups == before);
    }
    CHECK(num_groups > 100);
    CHECK(num_nested > 20);
  }
}

TEST_CASE("nested groups begin where their parents end") {
  // Rows 0 to 7 share four pages, 2 to 4 six more, 6 and 7 one more, 9 and 10 none with others.
  std::vector<int32_t> shared{0, 4, 4, 10, 10, 4, 4, 5, 0, 0, 9};
  CHECK(find_prefix_groups(shared, {.min_rows = 2, .min_pages = 1}) ==
        std::vector<PrefixGroup>{
            {0, 8, 0, 4, -1}, {2, 3, 4, 6, 0}, {6, 2, 4, 1, 0}, {9, 2, 0, 9, -1}});
  CHECK(find_prefix_groups(shared, {.min_rows = 3, .min_pages = 2}) ==
        std::vector<PrefixGroup>{{0, 8, 0, 4, -1}, {2, 3, 4, 6, 0}});
  // What is too short for a group of its own is read with what comes behind it.
  CHECK(find_prefix_groups(shared, {.min_rows = 2, .min_pages = 5}) ==
        std::vector<PrefixGroup>{{2, 3, 0, 10, -1}, {6, 2, 0, 5, -1}, {9, 2, 0, 9, -1}});
  CHECK(find_prefix_groups(shared, {}).empty());
}

TEST_CASE("a step whose groups save too little has none") {
  std::vector<int32_t> shared(32, 10);
  shared[0] = 0;
  // Two tiles of 16 rows, each as long as two rows' own reads.
  CHECK(PrefixRules::saved_pages(32, 10) == 280);
  CHECK(find_prefix_groups(shared, {2, 1, 280}).size() == 1);
  CHECK(find_prefix_groups(shared, {2, 1, 281}).empty());
}
