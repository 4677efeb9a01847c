#pragma once
// Several replicas behind a ReplicaPool. Rank 0 hands requests to the replicas that will be done
// with them soonest, its own among them; each runs an engine of its own and sends what its steps
// bring. Between steps they look for messages, so nobody waits for another's step. A sequence that
// is ended from here runs a step or two on where it is.
#include <string>
#include <unordered_map>
#include <vector>

#include "parallel/mpi/mpi_mailbox.h"
#include "runtime/replicas/life_signs.h"
#include "runtime/replicas/replica.h"
#include "runtime/replicas/replica_pool.h"
#include "runtime/replicas/request_queue.h"

namespace ll {

class ReplicaFleet {
 public:
  ReplicaFleet(Engine& engine, const MpiGroup& leaders, const PoolOptions& options);
  // Tells the others that there is no more, and hears them out, unless the program is ending by an
  // exception.
  ~ReplicaFleet();

  // As ReplicaPool's.
  void submit(std::shared_ptr<const Request> request);
  void end(SequenceId sequence);
  void cancel(int64_t request);
  bool has_work() const { return !open_.empty(); }
  bool wants_more() const { return queue_.wants_more(); }
  StepEvents step();
  SchedulerStats stats() const;
  GroupTimes times() const;
  std::vector<double> busy_shares() const { return queue_.busy_shares(); }

 private:
  using Clock = LifeSigns::Clock;

  // A request that has not been answered.
  struct Open {
    std::shared_ptr<const Request> request;
    int replica = -1;  // who was given it
    std::vector<bool> has_ended;
    int64_t num_running = 0;  // sequences that have not ended
  };

  bool is_own(int replica) const { return replica == mailbox_.rank(); }
  void receive(StepEvents& events);
  void handle(int from, std::string_view message, StepEvents& events);
  void check_alive();
  void give(int replica, int64_t request);
  void recall();
  void take_back(std::vector<int64_t> requests);
  void step_own(StepEvents& events);
  void note_ends(const StepEvents& events);
  void note_end(SequenceId sequence);
  void close(int64_t request);
  void note_times();
  void send_signs_of_life();

  PoolOptions options_;
  Mailbox mailbox_;
  Replica own_;
  RequestQueue queue_;
  LifeSigns signs_;
  std::unordered_map<int64_t, Open> open_;  // by id
  std::vector<SchedulerStats> stats_;       // of the other replicas
  std::vector<GroupTimes> times_;           // of the other replicas
  std::vector<std::string> names_;          // of the other replicas
  int num_left_ = 0;                        // replicas that have taken leave
  bool has_stepped_ = false;
  Clock::time_point now_, alive_sent_, own_stepped_;
};

}  // namespace ll
