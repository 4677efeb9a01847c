#pragma once
// A batch on several replicas. Rank 0 reads the file, hands lines to the replicas that will be done
// with them soonest, its own among them, and writes what comes back. Each replica's first rank runs
// an engine of its own; between steps it looks for messages, so nobody waits for another's step.
#include <deque>

#include "parallel/mpi/mpi_mailbox.h"
#include "runtime/batch/batch_job.h"
#include "runtime/replicas/request_queue.h"

namespace ll {

// What a replica was given and has not begun.
class ReplicaQueue {
 public:
  void push(RequestFeed::Item item) { items_.push_back(std::move(item)); }
  // As much as the engine has slots for.
  void feed(Engine& engine, BatchJob& job, int64_t max_num_seqs);
  // The newest, for others to do.
  std::vector<RequestFeed::Item> give_back(int64_t count);

 private:
  std::deque<RequestFeed::Item> items_;
};

// Rank 0.
class ReplicatedBatch {
 public:
  ReplicatedBatch(const EngineConfig& config, const CompletionContext& context, Mailbox& mailbox,
                  OutputFile& output);

  // A record of this rank's own replica: what its BatchJob writes.
  void done(int64_t line, std::string_view record);
  // Runs the file to its end, and tells the other replicas that there is no more.
  void run(Engine& engine, BatchJob& job, LineReader& input);

 private:
  void fill_queue(RequestFeed& feed, Engine& engine, BatchJob& job);
  void give(int replica, int64_t line);
  void recall();
  void receive();
  BatchCounts total(const BatchCounts& own) const;
  void finish(Progress& progress, const BatchCounts& own);

  const EngineConfig& config_;
  const CompletionContext& context_;
  Mailbox& mailbox_;
  OutputFile& output_;
  RequestQueue queue_;  // by line
  ReplicaQueue own_;
  std::unordered_map<int64_t, RequestFeed::Item> items_;  // by line; not the own replica's
  std::vector<BatchCounts> counts_;                       // of the other replicas
  int64_t num_lines_ = -1;
};

// The first rank of another replica.
class RemoteReplica {
 public:
  RemoteReplica(const EngineConfig& config, const CompletionContext& context, Mailbox& mailbox)
      : config_(config), context_(context), mailbox_(mailbox) {}

  void done(int64_t line, std::string_view record);
  // Answers what it is given until rank 0 says that there is no more.
  void run(Engine& engine, BatchJob& job);

 private:
  bool receive();

  const EngineConfig& config_;
  const CompletionContext& context_;
  Mailbox& mailbox_;
  ReplicaQueue queue_;
  std::vector<std::string> records_;  // of the running step, as messages
};

}  // namespace ll
