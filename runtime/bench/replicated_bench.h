#pragma once
// The throughput of several replicas. All of them know all requests; rank 0 says by number who
// answers which, as for a batch (replicated_batch.h), and hears what became of them.
#include <deque>

#include "parallel/mpi/mpi_mailbox.h"
#include "runtime/bench/bench_job.h"
#include "runtime/replicas/engine_stepper.h"
#include "runtime/replicas/request_queue.h"

namespace ll {

// The part of a replica: the engine of its first rank, and what it has yet to begin.
class BenchReplica {
 public:
  BenchReplica(const std::vector<BenchRequest>& requests, BenchRun& run, int64_t max_num_seqs)
      : requests_(requests), run_(run), max_num_seqs_(max_num_seqs) {}

  void push(int64_t request) { waiting_.push_back(request); }
  // The newest, for others to do.
  std::vector<int64_t> give_back(int64_t count);
  void step(Engine& engine);
  // Requests that were answered since the last call.
  std::vector<int64_t> take_finished();

 private:
  const std::vector<BenchRequest>& requests_;
  BenchRun& run_;
  int64_t max_num_seqs_;
  std::deque<int64_t> waiting_;
  EngineStepper stepper_;
};

// What a replica has done in all.
struct ReplicaTotals {
  int64_t prompt_tokens = 0, output_tokens = 0, cached_tokens = 0, steps = 0;
  double floor_seconds = 0;
};

class ReplicatedBench {
 public:
  // Collective over the mailbox's members, the first ranks of the replicas.
  ReplicatedBench(const EngineConfig& config, BenchJob& job, const MpiGroup& leaders);

  // On rank 0 the result of all, elsewhere an empty one. `on_warm` is called when the warm-up is
  // over.
  ThroughputResult run(Engine& engine, const std::function<void()>& on_warm);

 private:
  void lead(Engine& engine);
  void follow(Engine& engine);
  void give(int replica, int64_t request);
  void recall();
  void receive();
  ReplicaTotals own_totals(const Engine& engine) const;
  ThroughputResult collect(const Engine& engine);

  BenchJob& job_;
  MpiGroup leaders_;
  Mailbox mailbox_;
  std::vector<BenchRequest> requests_;
  BenchReplica own_;
  SchedulerStats warm_stats_;
  StepWork warm_totals_;
  RequestQueue queue_;  // rank 0's
};

}  // namespace ll
