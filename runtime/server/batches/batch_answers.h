#pragma once
// The requests of a batch that are with the engine, between the batch's thread, which takes what
// is answered, and the server's, which opens them.
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "runtime/server/service.h"

namespace ll {

struct BatchAnswer {
  int64_t line = 0;
  std::string body;  // of the answer
};

class BatchAnswers : public std::enable_shared_from_this<BatchAnswers> {
 public:
  explicit BatchAnswers(Service& service) : service_(service) {}

  // By any thread: gives a request that fits to the engine.
  void submit(int64_t line, std::string id, CompletionRequest request);
  // On the server's thread: requests that are not answered are no longer wanted. Nothing is
  // opened any more.
  void give_back();
  // By any thread: what has been answered since, if anything is within `patience`.
  std::vector<BatchAnswer> take(std::chrono::milliseconds patience);
  // The engine answers no more.
  bool is_broken() const;

 private:
  void open(int64_t line, const std::string& id, CompletionRequest request);
  void add(BatchAnswer answer);
  void break_off();

  Service& service_;
  std::unordered_set<int64_t> keys_;  // of open requests; of the server's thread
  bool is_given_back_ = false;        // the same
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<BatchAnswer> answers_;
  bool is_broken_ = false;
};

}  // namespace ll
