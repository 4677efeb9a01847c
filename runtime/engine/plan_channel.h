#pragma once
// One broadcast a step: rank 0's plan to the ranks of the replica.
#include "parallel/mpi/mpi_group.h"
#include "runtime/schedule/step_plan.h"

namespace ll {

class PlanChannel {
 public:
  explicit PlanChannel(const MpiGroup& group) : group_(group) {}

  void send(const StepPlan& plan);  // rank 0
  StepPlan receive();               // the others; sleeps while there is none
  // The plan's that was last sent or received.
  int32_t checksum() const { return checksum_; }

 private:
  // A plan of up to two hundred decode rows fits in one message, which at below 4 KB goes out
  // without waiting for its receivers; what is longer takes a second one.
  static constexpr size_t kFirstWords = 1000;

  const MpiGroup& group_;
  std::vector<int32_t> buffer_;
  int32_t checksum_ = 0;
};

}  // namespace ll
