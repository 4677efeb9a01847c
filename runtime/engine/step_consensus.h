#pragma once
// Whether the ranks of a replica run the same steps and draw the same tokens. A rank that computes
// wrongly would otherwise go on with a text of its own, and make nonsense of everybody's.
//
// What ranks compare goes from one to all beside the steps, sixteen at a time, and is looked at
// when the next sixteen are complete, or when there is nothing more to do. How long their steps
// took goes along.
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "parallel/mpi/background_gather.h"
#include "runtime/schedule/rank_times.h"

namespace ll {

class StepConsensus {
 public:
  // `name` is this rank's in messages: "rank 3 on node7". Collective over the replica, as
  // launched() and flush() are in effect: all members call them for the same steps in the same
  // order.
  StepConsensus(const MpiGroup& replica, const std::string& name);

  void launched(int32_t step, int32_t plan_checksum);
  // Steps whose tokens are not known here yet.
  size_t num_open() const { return open_.size(); }
  int32_t oldest_open() const { return open_.front().step; }
  // The tokens of the oldest of them, and its time. Throws Error that names rank and step when a
  // member has had another step, plan or tokens than the others.
  void drew(std::span<const int32_t> tokens, StepTime time = {});
  // The same, for all there is; no step may be open.
  void flush();
  // Sums over the steps that were looked at.
  const GroupTimes& times() const { return times_; }

 private:
  struct Entry {
    int32_t step = -1, plan = 0, tokens = 0;
    StepTime time;
    bool is_like(const Entry& o) const {
      return step == o.step && plan == o.plan && tokens == o.tokens;
    }
  };
  static constexpr size_t kEntries = 16;

  void exchange();
  void look();
  [[noreturn]] void fail_at(std::span<const Entry> entries, size_t index) const;

  BackgroundGather gather_;
  std::vector<std::string> names_;  // of the members
  std::deque<Entry> open_;
  std::vector<Entry> noted_;
  GroupTimes times_;
};

}  // namespace ll
