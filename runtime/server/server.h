#pragma once
// An OpenAI-compatible server on rank 0: HTTP on a thread of its own, the engine on the caller's.
#include <functional>
#include <memory>
#include <string>

#include "runtime/api/api_context.h"
#include "runtime/batch/journal/job_fingerprint.h"
#include "runtime/replicas/replica_pool.h"

namespace ll {

struct ServedModel {
  const CompletionContext& context;
  const ModelTexts& texts;
  ModelIdentity identity;
};

class Server {
 public:
  // Takes the address to listen on, and the folder of batches; the model is not needed yet. Throws
  // Error when they cannot be had, or the files of API key and certificate cannot be read.
  explicit Server(const EngineConfig& config);
  ~Server();

  // Serves until drained; requests of more than `max_choices` answers are not open at a time.
  // `look` says what is wrong with one of the ranks, or nothing. Throws what the engine throws,
  // after all clients are told.
  void run(const ServedModel& model, ReplicaPool& pool, int64_t max_choices,
           const std::function<std::string()>& look);

  // By any thread, also before run(): takes no more requests, gives open ones shutdown_timeout_s.
  void drain();
  // By any thread: the process is about to end, as `why` says. Tells all clients; returns when they
  // are told, or soon.
  void give_up(const std::string& why);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ll
