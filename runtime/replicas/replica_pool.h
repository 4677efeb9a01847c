#pragma once
// One queue over one engine or many: requests in, the events of all steps out. Lives on rank 0;
// where there are several replicas, the first ranks of the others are in run_replica() (replica.h).
#include <memory>
#include <vector>

#include "runtime/replicas/replica.h"

namespace ll {

class ReplicaFleet;

class ReplicaPool {
 public:
  // This rank's engine alone.
  explicit ReplicaPool(Engine& engine, const PoolOptions& options = {});
  // Collective over `leaders`, the first ranks of the replicas; a group of one is this rank's
  // engine alone.
  ReplicaPool(Engine& engine, const MpiGroup& leaders, const PoolOptions& options);
  // Takes leave of the other replicas, unless the program is ending by an exception.
  ~ReplicaPool();

  // See Scheduler; all replicas are alike.
  void check_fits(const Request& request) const { engine_.check_fits(request); }
  // Queues a request that fits; its id is new.
  void submit(std::shared_ptr<const Request> request);
  void end(SequenceId sequence);
  void cancel(int64_t request);

  bool has_work() const;
  // Whether one more request would be of use now: the queue is bounded by who fills it.
  bool wants_more() const;

  // Hands out what is queued, runs a step of this rank's engine, and returns what came of it and of
  // the other replicas meanwhile. To be called a few times a second without work, too: it is a sign
  // of life for the other ranks. Throws Error when a replica no longer speaks.
  StepEvents step();

  // Sums over all replicas, as they were last heard of.
  SchedulerStats stats() const;
  // Those of all ranks, in their order, where they time steps.
  GroupTimes times() const;
  // What all of them have run so far.
  const StepWork& work() const { return work_; }
  // What that cost.
  const Cost& cost() const { return cost_; }
  // The share of the time since the first step in which each replica had something to do; empty
  // where there is one engine.
  std::vector<double> busy_shares() const;

 private:
  Engine& engine_;
  PoolOptions options_;
  StepWork work_;
  Cost cost_;
  std::unique_ptr<ReplicaFleet> fleet_;  // null: this rank's engine is all
};

}  // namespace ll
