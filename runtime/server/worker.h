#pragma once
// A thread for what would hold up all streams if the server's own did it.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "runtime/server/http_server.h"

namespace ll {

class Worker {
 public:
  // What to do next, on the server's thread.
  using Then = std::function<void()>;

  // The server outlives this.
  explicit Worker(HttpServer& http) : http_(http) {}
  // Waits for what is being done; what waits is not done any more.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Does `work`, which throws nothing, after all that was given before.
  void post(std::function<Then()> work);

 private:
  void work_on();

  HttpServer& http_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<Then()>> waiting_;
  bool stops_ = false;
  std::thread thread_;  // from the first work on
};

}  // namespace ll
