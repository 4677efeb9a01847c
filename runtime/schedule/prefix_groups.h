#pragma once
// Which decode rows read a prefix of pages together: attention reads it once for the group and
// merges what each row has of its own (cascade inference; Juravsky et al. 2024, Hydragen).
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/pages.h"

namespace ll {

// When a group pays. Everything is counted in reads of a page: a row that is in no group reads each
// of its pages once a step.
struct PrefixRules {
  int32_t min_rows = 0;         // of a group; 0: no groups are formed
  int32_t min_pages = 2;        // of a group
  int64_t min_saved_pages = 0;  // by all groups of a step, or it has none

  bool are_on() const { return min_rows > 0; }
  // By a group. Up to kTileRows of its rows read a page together, which takes as long as
  // kTileReads of them would for themselves.
  static int64_t saved_pages(int64_t rows, int64_t pages);
  static constexpr int64_t kTileRows = 16, kTileReads = 2;
};

// Groups of rows of which row i has its first shared[i] pages in common with row i - 1 (shared[0]
// is not asked for); parents stand before their children.
std::vector<PrefixGroup> find_prefix_groups(std::span<const int32_t> shared,
                                            const PrefixRules& rules);

// The decoding sequences in an order in which those that begin with the same pages stand side by
// side.
class PrefixOrder {
 public:
  PrefixOrder(const PrefixRules& rules, int32_t num_slots);

  bool has(int32_t slot) const { return is_in_[static_cast<size_t>(slot)]; }
  // `pages`, which outlive the slot's stay here, may grow at their end. At least one is the slot's
  // alone, and stays so.
  void add(int32_t slot, const std::vector<int32_t>& pages);
  // Nothing is done for a slot that is not here.
  void remove(int32_t slot);

  // How the decode rows of a step are to stand: row i of it is row rows[i] of those given by their
  // slots, all of which are here. No groups: as they are.
  struct Arrangement {
    std::vector<int32_t> rows;
    std::vector<PrefixGroup> groups;
  };
  // Valid until the next call; of the same slots as in the last one it costs next to nothing.
  const Arrangement& arrange(std::span<const int32_t> slots);

 private:
  struct Member {
    int32_t slot;
    const std::vector<int32_t>* pages;
    int32_t shared;  // pages in front, with the member before
  };

  PrefixRules rules_;
  std::vector<Member> members_;
  std::vector<char> is_in_;      // by slot
  std::vector<int32_t> row_of_;  // by slot; -1 between calls
  bool has_changed_ = true;      // since the last arrangement
  std::vector<int32_t> slots_;   // of the last arrangement
  Arrangement arrangement_;
};

}  // namespace ll
