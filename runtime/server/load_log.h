#pragma once
// What a server writes down while it runs: a line about the load every few seconds in which there
// was any, and (server.access_log) a line of JSON for every request to the model.
#include <chrono>
#include <cstdio>
#include <memory>

#include "runtime/server/service.h"

namespace ll {

class LoadLog {
 public:
  // The service outlives this. Throws Error when the access log cannot be opened.
  explicit LoadLog(Service& service);

 private:
  using Clock = std::chrono::steady_clock;
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  void wait();
  void print();
  void note(const RequestSummary& summary);

  Service& service_;
  std::unique_ptr<std::FILE, Close> own_;
  std::FILE* access_ = nullptr;
  Clock::time_point printed_ = Clock::now();
  HttpTimer timer_;
  SchedulerStats before_ = {};
  int64_t tokens_before_ = 0, ended_before_ = 0;
};

}  // namespace ll
