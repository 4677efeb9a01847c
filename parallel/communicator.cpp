#include "parallel/communicator.h"

#include <atomic>
#include <chrono>

namespace ll {
namespace {

std::atomic<const char*> g_current{nullptr};

std::atomic<bool> g_is_timed{false};
thread_local double t_seconds = 0;

class Scope {
 public:
  Scope(const char* name, int size)
      : is_timed_(size > 1 && g_is_timed.load(std::memory_order_relaxed)) {
    g_current.store(name, std::memory_order_relaxed);
    if (is_timed_) begin_ = Clock::now();
  }
  ~Scope() {
    g_current.store(nullptr, std::memory_order_relaxed);
    if (is_timed_) t_seconds += std::chrono::duration<double>(Clock::now() - begin_).count();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  bool is_timed_;
  Clock::time_point begin_;
};

class SelfCommunicator final : public Communicator {
 public:
  explicit SelfCommunicator(const Backend& backend)
      : Communicator(backend.ops, 0, 1), device_(backend.device) {}

 private:
  void do_all_reduce_sum(Stream, TensorView) override {}
  void do_all_reduce_max(Stream, TensorView) override {}
  void do_all_gather(Stream stream, const void* send, void* receive, size_t bytes) override {
    if (receive != send) device_.copy(stream, receive, send, bytes);
  }
  void do_all_to_all(Stream stream, const void* send, void* receive, size_t bytes) override {
    do_all_gather(stream, send, receive, bytes);
  }

  const DeviceApi& device_;
};

}  // namespace

const char* Communicator::current() { return g_current.load(std::memory_order_relaxed); }

void Communicator::time_collectives() { g_is_timed = true; }
double Communicator::timed_seconds() { return t_seconds; }

void Communicator::all_reduce_sum(Stream stream, TensorView x) {
  Scope scope("all_reduce_sum", size_);
  if (size_ > 1 && !x.empty()) do_all_reduce_sum(stream, x);
}

void Communicator::all_reduce_sum(Stream stream, TensorView x, TensorView y) {
  Scope scope("all_reduce_sum", size_);
  if (size_ > 1 && !x.empty()) do_all_reduce_sums(stream, x, y);
}

void Communicator::do_all_reduce_sums(Stream stream, TensorView x, TensorView y) {
  do_all_reduce_sum(stream, x);
  do_all_reduce_sum(stream, y);
}

void Communicator::all_reduce_max(Stream stream, TensorView x) {
  Scope scope("all_reduce_max", size_);
  if (size_ > 1 && !x.empty()) do_all_reduce_max(stream, x);
}

void Communicator::all_gather(Stream stream, const void* send, void* receive, size_t bytes) {
  Scope scope("all_gather", size_);
  if (bytes > 0) do_all_gather(stream, send, receive, bytes);
}

void Communicator::all_to_all(Stream stream, const void* send, void* receive, size_t bytes) {
  Scope scope("all_to_all", size_);
  if (bytes > 0) do_all_to_all(stream, send, receive, bytes);
}

void Communicator::all_reduce_add_rms_norm(Stream stream, const AddRmsNormArgs& args) {
  Scope scope("all_reduce_add_rms_norm", size_);
  if (size_ > 1 && !args.delta.empty())
    do_all_reduce_add_rms_norm(stream, args);
  else
    ops_.add_rms_norm(stream, args);
}

void Communicator::do_all_reduce_add_rms_norm(Stream stream, const AddRmsNormArgs& args) {
  do_all_reduce_sum(stream, args.delta);
  ops_.add_rms_norm(stream, args);
}

std::unique_ptr<Communicator> make_self_communicator(const Backend& backend) {
  return std::make_unique<SelfCommunicator>(backend);
}

}  // namespace ll
