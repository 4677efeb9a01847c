#include "runtime/server/worker.h"

#include <utility>

namespace ll {

Worker::~Worker() {
  {
    std::lock_guard lock(mutex_);
    stops_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Worker::post(std::function<Then()> work) {
  std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(work));
  if (!thread_.joinable()) thread_ = std::thread([this] { work_on(); });
  changed_.notify_one();
}

void Worker::work_on() {
  for (std::unique_lock lock(mutex_);;) {
    changed_.wait(lock, [this] { return stops_ || !waiting_.empty(); });
    if (stops_) return;
    std::function<Then()> work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    http_.post(work());
    work = nullptr;
    lock.lock();
  }
}

}  // namespace ll
