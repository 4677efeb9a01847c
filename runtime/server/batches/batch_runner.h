#pragma once
// Runs the batches of a store, one after another, beside the requests of clients and behind them:
// on a thread of its own, through the server's engine. What is answered is in the journal of the
// batch job, so that the next server goes on where this one ended.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "runtime/batch/batch_output.h"
#include "runtime/batch/request_feed.h"
#include "runtime/server/batches/batch_answers.h"
#include "runtime/server/batches/batch_store.h"

namespace ll {

class BatchRunner {
 public:
  // All outlive this. Begins at once with what an earlier server left.
  BatchRunner(Service& service, BatchStore& store, ModelIdentity model);
  // The batch that runs stays as far as it is.
  ~BatchRunner();
  BatchRunner(const BatchRunner&) = delete;
  BatchRunner& operator=(const BatchRunner&) = delete;

  // By any thread: there is a batch to run, or to cancel.
  void wake();
  // On the server's thread: gives back what is open, and begins nothing more.
  void stop();

 private:
  // A request that is with the engine.
  struct Open {
    std::string custom_id;
    int64_t num_choices = 0;
  };
  enum class End { kDone, kCancelled, kExpired, kStopped };

  void work();
  std::optional<BatchObject> next() const;
  bool run(const BatchObject& batch);
  bool validate(const BatchObject& batch);
  void answer(const BatchObject& batch);
  void set_answers(std::shared_ptr<BatchAnswers> answers);
  End answer_lines(const BatchObject& batch, const EngineConfig& job, BatchOutput& output);
  std::optional<End> end_of(const BatchObject& batch) const;
  void submit(const BatchObject& batch, BatchOutput& output, RequestFeed::Item item);
  void write(BatchOutput& output, const BatchAnswer& answer);
  void fail_line(BatchOutput& output, const RequestFeed::Item& item, std::string_view why);
  void finish(const BatchObject& batch, End end);
  void fail(const BatchObject& batch, std::vector<BatchFault> faults);
  std::string add_output(const std::string& id, const char* filename);

  Service& service_;
  BatchStore& store_;
  ModelIdentity model_;
  std::string host_;
  int64_t max_choices_;
  std::atomic<bool> stops_ = false;
  // The batch that runs.
  std::shared_ptr<BatchAnswers> answers_;   // under the mutex
  std::unordered_map<int64_t, Open> open_;  // by line
  int64_t num_choices_ = 0, num_completed_ = 0, num_failed_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_woken_ = false;
  std::thread thread_;
};

}  // namespace ll
