#include "runtime/server/serve_loop.h"

#include <chrono>
#include <limits>
#include <utility>

namespace ll {
namespace {

// Between signs of life to the other ranks while there is nothing to do.
constexpr auto kIdlePatience = std::chrono::milliseconds(200);
constexpr int64_t kSecond = 1'000'000'000;

bool is_alike(const SchedulerStats& a, const SchedulerStats& b) {
  return a.num_running == b.num_running && a.num_waiting == b.num_waiting &&
         a.kv_usage == b.kv_usage;
}

}  // namespace

ServeLoop::ServeLoop(const CompletionContext& context, ReplicaPool& pool,
                     std::function<void(StepNews)> deliver)
    : pool_(pool),
      desk_(context.tokenizer, context.eos_token_ids),
      deliver_(std::move(deliver)),
      alive_(now()) {}

int64_t ServeLoop::now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double ServeLoop::seconds_since(const std::atomic<int64_t>& then) {
  int64_t when = then;
  if (when == 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(now() - when) / kSecond;
}

void ServeLoop::submit(int64_t key, CompletionRequest request) {
  std::lock_guard lock(mutex_);
  orders_.push_back({key, std::move(request)});
  changed_.notify_one();
}

void ServeLoop::cancel(int64_t key) {
  std::lock_guard lock(mutex_);
  orders_.push_back({key, std::nullopt});
  changed_.notify_one();
}

void ServeLoop::stop() {
  std::lock_guard lock(mutex_);
  stops_ = true;
  changed_.notify_one();
}

void ServeLoop::fail(std::exception_ptr error) {
  std::lock_guard lock(mutex_);
  error_ = std::move(error);
  changed_.notify_one();
}

std::string ServeLoop::fault() const {
  std::lock_guard lock(mutex_);
  return fault_;
}

std::vector<ServeLoop::Order> ServeLoop::next_orders() {
  std::unique_lock lock(mutex_);
  auto is_wanted = [&] { return stops_ || error_ || !orders_.empty(); };
  if (!pool_.has_work()) changed_.wait_for(lock, kIdlePatience, is_wanted);
  if (error_) std::rethrow_exception(error_);
  return std::move(orders_);
}

void ServeLoop::run(const std::function<std::string()>& look) {
  for (;;) {
    for (Order& order : next_orders()) {
      has_orders_ = true;
      if (order.request)
        submit_now(std::move(order));
      else
        cancel_now(order.key);
    }
    {
      std::lock_guard lock(mutex_);
      if (stops_) return;
    }
    bool had_work = pool_.has_work();
    StepEvents events = pool_.step();
    if (!events.tokens.empty()) passed_ = now();
    if (!had_work) look_at_ranks(look);
    if (fault_.empty()) alive_ = now();
    take(std::move(events));
  }
}

// Without work no collective would notice a rank that is gone or stopped.
void ServeLoop::look_at_ranks(const std::function<std::string()>& look) {
  if (now() - looked_ < kSecond) return;
  looked_ = now();
  std::string fault = look();
  std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

void ServeLoop::submit_now(Order order) {
  ++num_taken_;
  std::vector<int64_t>& requests = requests_[order.key];
  for (auto& request : desk_.open(order.key, std::move(*order.request))) {
    keys_[request->id] = order.key;
    requests.push_back(request->id);
    pool_.submit(std::move(request));
  }
}

void ServeLoop::cancel_now(int64_t key) {
  auto found = requests_.find(key);
  if (found == requests_.end()) return;
  for (int64_t request : desk_.close(key)) {
    pool_.cancel(request);
    keys_.erase(request);
  }
  requests_.erase(found);
}

void ServeLoop::forget(int64_t key) {
  auto requests = requests_.extract(key);
  for (int64_t request : requests.mapped()) keys_.erase(request);
}

void ServeLoop::take(StepEvents events) {
  StepNews news;
  bool has_news = std::exchange(has_orders_, false) || !events.is_empty();
  for (const StartedPrompt& s : events.started)
    if (auto key = keys_.find(s.request); key != keys_.end()) news.started.push_back(key->second);
  for (const StepWork& work : events.steps) news.work += work;
  Desk::Taken taken = desk_.take(std::move(events));
  for (SequenceId sequence : taken.ends) pool_.end(sequence);
  for (const Answer& answer : taken.answers) forget(answer.key);
  for (const Failure& failure : taken.failures) {
    for (int64_t request : failure.engine_requests) pool_.cancel(request);
    forget(failure.key);
    news.failures.push_back(failure.key);
  }
  news.stats = pool_.stats();
  if (!has_news && is_alike(news.stats, told_)) return;
  told_ = news.stats;
  news.times = pool_.times();
  news.deltas = std::move(taken.deltas);
  news.answers = std::move(taken.answers);
  news.num_taken = num_taken_;
  deliver_(std::move(news));
}

}  // namespace ll
