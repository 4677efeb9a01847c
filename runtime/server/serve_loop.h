#pragma once
// The step loop of a server, on the thread of the engine: takes requests in between steps, tells
// what the steps brought, and sleeps while there is nothing to do.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/answers/desk.h"
#include "runtime/replicas/replica_pool.h"

namespace ll {

// What came of a step.
struct StepNews {
  std::vector<int64_t> started;  // keys, once for each of a request's prompts
  std::vector<Delta> deltas;
  std::vector<Answer> answers;
  std::vector<int64_t> failures;  // keys: kNoTokenDrawn
  SchedulerStats stats;
  GroupTimes times;
  StepWork work;          // of the steps that were launched
  int64_t num_taken = 0;  // requests taken in so far
};

class ServeLoop {
 public:
  // `deliver` is called on the thread of the engine, after each step that brought something; at
  // most once a step. All outlive the loop.
  ServeLoop(const CompletionContext& context, ReplicaPool& pool,
            std::function<void(StepNews)> deliver);

  // By any thread. The request fits (ReplicaPool::check_fits); its key is new.
  void submit(int64_t key, CompletionRequest request);
  // Its pages are free before the next step. One that has ended is no mistake.
  void cancel(int64_t key);
  // run() returns, or throws.
  void stop();
  void fail(std::exception_ptr error);

  // On the thread of the engine. `look` is asked now and then whether all ranks are well; what is
  // wrong with one, or nothing.
  void run(const std::function<std::string()>& look);

  // By any thread: seconds since the engine was last seen to be well, and since a forward pass.
  double seconds_since_sign_of_life() const { return seconds_since(alive_); }
  double seconds_since_pass() const { return seconds_since(passed_); }
  std::string fault() const;

 private:
  struct Order {
    int64_t key = 0;
    std::optional<CompletionRequest> request;  // none: it is to be cancelled
  };

  static int64_t now();
  static double seconds_since(const std::atomic<int64_t>& then);
  std::vector<Order> next_orders();
  void submit_now(Order order);
  void cancel_now(int64_t key);
  void take(StepEvents events);
  void forget(int64_t key);
  void look_at_ranks(const std::function<std::string()>& look);

  ReplicaPool& pool_;
  Desk desk_;
  std::function<void(StepNews)> deliver_;
  std::unordered_map<int64_t, int64_t> keys_;                   // by engine request
  std::unordered_map<int64_t, std::vector<int64_t>> requests_;  // of the engine, by key
  int64_t num_taken_ = 0;
  bool has_orders_ = false;   // since the last news
  SchedulerStats told_ = {};  // by them
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Order> orders_;
  bool stops_ = false;
  std::exception_ptr error_;
  std::string fault_;
  std::atomic<int64_t> alive_, passed_{0};  // nanoseconds of the steady clock; 0: never
  int64_t looked_ = 0;
};

}  // namespace ll
