#include "runtime/schedule/prefix_groups.h"

#include <algorithm>
#include <climits>

#include "base/check.h"
#include "base/numbers.h"

namespace ll {
namespace {

using Pages = std::vector<int32_t>;

int32_t common_pages(const Pages& a, const Pages& b) {
  auto end = a.begin() + static_cast<int64_t>(std::min(a.size(), b.size()));
  return static_cast<int32_t>(std::mismatch(a.begin(), end, b.begin()).first - a.begin());
}

// From the outermost prefixes in.
class GroupSearch {
 public:
  GroupSearch(std::span<const int32_t> shared, const PrefixRules& rules)
      : shared_(shared), rules_(rules) {}

  // Among rows [begin, end), runs that share more than `split_at` pages; what is before
  // `first_page` the group `parent` reads for them.
  void search(int32_t begin, int32_t end, int32_t split_at, int32_t first_page, int32_t parent) {
    for (int32_t i = begin, next; i < end; i = next) {
      int32_t depth = INT_MAX;
      for (next = i + 1; next < end && shared(next) > split_at; ++next)
        depth = std::min(depth, shared(next));
      if (next - i < std::max(rules_.min_rows, 2)) continue;
      if (depth - first_page < rules_.min_pages) {
        search(i, next, depth, first_page, parent);
        continue;
      }
      auto index = static_cast<int32_t>(groups.size());
      groups.push_back({i, next - i, first_page, depth - first_page, parent});
      saved_pages += PrefixRules::saved_pages(next - i, depth - first_page);
      search(i, next, depth, depth, index);
    }
  }

  std::vector<PrefixGroup> groups;
  int64_t saved_pages = 0;

 private:
  int32_t shared(int32_t row) const { return shared_[static_cast<size_t>(row)]; }

  std::span<const int32_t> shared_;
  const PrefixRules& rules_;
};

}  // namespace

int64_t PrefixRules::saved_pages(int64_t rows, int64_t pages) {
  return (rows - kTileReads * ceil_div(rows, kTileRows)) * pages;
}

std::vector<PrefixGroup> find_prefix_groups(std::span<const int32_t> shared,
                                            const PrefixRules& rules) {
  if (!rules.are_on()) return {};
  GroupSearch found(shared, rules);
  found.search(0, static_cast<int32_t>(shared.size()), 0, 0, -1);
  if (found.saved_pages < rules.min_saved_pages) return {};
  return std::move(found.groups);
}

PrefixOrder::PrefixOrder(const PrefixRules& rules, int32_t num_slots)
    : rules_(rules),
      is_in_(static_cast<size_t>(num_slots)),
      row_of_(static_cast<size_t>(num_slots), -1) {}

// Every member has a page of its own, so that the first page in which two differ is there for good
// and decides for good which of them is first.
void PrefixOrder::add(int32_t slot, const Pages& pages) {
  auto at = std::lower_bound(members_.begin(), members_.end(), pages,
                             [](const Member& m, const Pages& p) { return *m.pages < p; });
  int32_t shared = at == members_.begin() ? 0 : common_pages(*std::prev(at)->pages, pages);
  if (at != members_.end()) at->shared = common_pages(pages, *at->pages);
  members_.insert(at, {slot, &pages, shared});
  is_in_[static_cast<size_t>(slot)] = 1;
  has_changed_ = true;
}

void PrefixOrder::remove(int32_t slot) {
  if (!has(slot)) return;
  auto at = std::find_if(members_.begin(), members_.end(),
                         [&](const Member& m) { return m.slot == slot; });
  if (auto next = std::next(at); next != members_.end())
    next->shared = std::min(next->shared, at->shared);
  members_.erase(at);
  is_in_[static_cast<size_t>(slot)] = 0;
  has_changed_ = true;
}

const PrefixOrder::Arrangement& PrefixOrder::arrange(std::span<const int32_t> slots) {
  if (!has_changed_ && std::ranges::equal(slots, slots_)) return arrangement_;
  has_changed_ = false;
  slots_.assign(slots.begin(), slots.end());
  auto row_of = [&](int32_t slot) -> int32_t& { return row_of_[static_cast<size_t>(slot)]; };
  for (size_t i = 0; i < slots.size(); ++i) row_of(slots[i]) = static_cast<int32_t>(i);
  arrangement_ = {};
  std::vector<int32_t> shared;
  int32_t least = INT_MAX;  // since the last member with a row
  for (const Member& m : members_) {
    least = std::min(least, m.shared);
    if (row_of(m.slot) < 0) continue;
    arrangement_.rows.push_back(row_of(m.slot));
    shared.push_back(least);
    least = INT_MAX;
  }
  ensure(arrangement_.rows.size() == slots.size(), "prefix order: a row of a slot that is not in");
  for (int32_t slot : slots) row_of(slot) = -1;
  arrangement_.groups = find_prefix_groups(shared, rules_);
  return arrangement_;
}

}  // namespace ll
