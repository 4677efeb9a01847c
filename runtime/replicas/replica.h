#pragma once
// A replica as its first rank runs it: the engine, and what it was given and has not begun, which
// can be given back.
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/engine.h"

namespace ll {

struct PoolOptions {
  int64_t max_num_seqs = 256;  // answers an engine runs at once
  int64_t read_ahead = 1024;   // requests to have ready behind those that run
  // A replica that holds work and says nothing for so long ends the job, and so does rank 0; zero:
  // they do not.
  std::chrono::seconds step_timeout{0};
  // What is wrong with a rank of this host, if that can be seen: "rank 1 (process 17) is stopped".
  std::function<std::string()> find_fault;

  // A step that takes too long is told of by whoever runs it, who knows more of it: it speaks
  // first.
  std::chrono::seconds patience() const {
    return step_timeout.count() == 0 ? step_timeout : step_timeout + std::chrono::seconds(1);
  }
};

class Replica {
 public:
  // `max_num_seqs`: as many answers as the engine runs at once.
  Replica(Engine& engine, int64_t max_num_seqs) : engine_(engine), max_num_seqs_(max_num_seqs) {}

  void push(std::shared_ptr<const Request> request);
  // The last of those that have not begun, by id, for others to do.
  std::vector<int64_t> give_back(int64_t count);
  // See Scheduler.
  void end(SequenceId sequence) { engine_.end(sequence); }
  void cancel(int64_t request);

  bool has_work() const { return !waiting_.empty() || engine_.has_work(); }
  // The engine's numbers; requests that have not begun count as waiting.
  SchedulerStats stats() const;
  const GroupTimes& times() const { return engine_.times(); }
  // Begins as much as the engine has room for, and runs a step.
  StepEvents step();

 private:
  Engine& engine_;
  int64_t max_num_seqs_;
  std::deque<std::shared_ptr<const Request>> waiting_;  // in the order of is_before()
};

// Throws Error: `who` was silent for longer than the options' patience.
[[noreturn]] void fail_silent(std::string_view who, const PoolOptions& options);

// On the first rank of another replica than rank 0's: runs what the pool gives it until there is no
// more. `who` names this rank in messages. Collective over `leaders` with the pool's constructor.
// Throws Error when rank 0 no longer speaks.
void run_replica(Engine& engine, const MpiGroup& leaders, const PoolOptions& options,
                 std::string_view who);

}  // namespace ll
