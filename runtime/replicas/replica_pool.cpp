#include "runtime/replicas/replica_pool.h"

#include "runtime/replicas/replica_fleet.h"

namespace ll {

ReplicaPool::ReplicaPool(Engine& engine, const PoolOptions& options)
    : engine_(engine), options_(options) {}

ReplicaPool::ReplicaPool(Engine& engine, const MpiGroup& leaders, const PoolOptions& options)
    : ReplicaPool(engine, options) {
  if (leaders.size() > 1) fleet_ = std::make_unique<ReplicaFleet>(engine, leaders, options);
}

ReplicaPool::~ReplicaPool() = default;

void ReplicaPool::submit(std::shared_ptr<const Request> request) {
  if (fleet_) return fleet_->submit(std::move(request));
  engine_.add(std::move(request));
}

void ReplicaPool::end(SequenceId sequence) {
  if (fleet_) return fleet_->end(sequence);
  engine_.end(sequence);
}

void ReplicaPool::cancel(int64_t request) {
  if (fleet_) return fleet_->cancel(request);
  engine_.cancel(request);
}

bool ReplicaPool::has_work() const { return fleet_ ? fleet_->has_work() : engine_.has_work(); }

bool ReplicaPool::wants_more() const {
  return fleet_ ? fleet_->wants_more() : engine_.num_waiting() < options_.read_ahead;
}

StepEvents ReplicaPool::step() {
  StepEvents events = fleet_ ? fleet_->step() : engine_.step();
  for (const StepWork& step : events.steps) work_ += step;
  for (const StepCost& step : events.costs) cost_ += step.cost;
  return events;
}

SchedulerStats ReplicaPool::stats() const { return fleet_ ? fleet_->stats() : engine_.stats(); }

GroupTimes ReplicaPool::times() const { return fleet_ ? fleet_->times() : engine_.times(); }

std::vector<double> ReplicaPool::busy_shares() const {
  return fleet_ ? fleet_->busy_shares() : std::vector<double>();
}

}  // namespace ll
