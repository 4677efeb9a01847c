#include "runtime/replicas/replica.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/check.h"
#include "parallel/mpi/mpi_mailbox.h"
#include "runtime/replicas/life_signs.h"
#include "runtime/replicas/replica_messages.h"

namespace ll {
namespace {

// Between looks at a mailbox, without work.
constexpr auto kNap = std::chrono::microseconds(300);

// Does what a message says; false when there is no more.
bool obey(Replica& replica, std::string_view message, Mailbox& mailbox) {
  switch (kind_of(message)) {
    case ReplicaMessage::kWork:
      replica.push(std::make_shared<Request>(decode_request(message)));
      break;
    case ReplicaMessage::kEnd:
      replica.end(decode_sequence(message));
      break;
    case ReplicaMessage::kCancel:
      replica.cancel(decode_value(message));
      break;
    case ReplicaMessage::kRecall:
      mailbox.post(0, encode(ReplicaMessage::kReturned, replica.give_back(decode_value(message))));
      break;
    case ReplicaMessage::kAlive:
      break;
    case ReplicaMessage::kQuit:
      return false;
    default:
      ensure(false, "message between replicas: unknown kind");
  }
  return true;
}

}  // namespace

void Replica::push(std::shared_ptr<const Request> request) {
  auto place = std::upper_bound(waiting_.begin(), waiting_.end(), request,
                                [](const auto& a, const auto& b) { return is_before(*a, *b); });
  waiting_.insert(place, std::move(request));
}

std::vector<int64_t> Replica::give_back(int64_t count) {
  std::vector<int64_t> given;
  for (; count > 0 && !waiting_.empty(); --count) {
    given.push_back(waiting_.back()->id);
    waiting_.pop_back();
  }
  return given;
}

void Replica::cancel(int64_t request) {
  std::erase_if(waiting_, [&](const auto& r) { return r->id == request; });
  engine_.cancel(request);
}

SchedulerStats Replica::stats() const {
  SchedulerStats stats = engine_.stats();
  stats.num_waiting += static_cast<int64_t>(waiting_.size());
  return stats;
}

StepEvents Replica::step() {
  for (; !waiting_.empty(); waiting_.pop_front()) {
    SchedulerStats stats = engine_.stats();
    if (engine_.has_work() && stats.num_running + stats.num_waiting >= max_num_seqs_) break;
    engine_.add(std::move(waiting_.front()));
  }
  return engine_.step();
}

void fail_silent(std::string_view who, const PoolOptions& options) {
  std::string fault = options.find_fault ? options.find_fault() : "";
  fail("{} has said nothing for {} s; {}", who, options.patience().count(),
       fault.empty() ? "it was stopped, or its host or link is down; see step_timeout_s" : fault);
}

// Without work a step is a sign of life for the replica's other ranks: they get one whenever rank 0
// gives one, so that its silence is noticed by them, too.
void run_replica(Engine& engine, const MpiGroup& leaders, const PoolOptions& options,
                 std::string_view who) {
  Mailbox mailbox(leaders);
  Replica replica(engine, options.max_num_seqs);
  LifeSigns rank_0(1, options.patience(), LifeSigns::Clock::now());
  mailbox.post(0, encode(ReplicaMessage::kHello, who));
  for (;;) {
    bool has_heard = false;
    rank_0.tick(LifeSigns::Clock::now());
    while (auto m = mailbox.poll()) {
      if (!obey(replica, m->text, mailbox)) return mailbox.post(0, encode(ReplicaMessage::kBye));
      has_heard = true;
      rank_0.heard(0);
      rank_0.holds_work(0, true);  // from its first word on: it may have much to prepare
    }
    if (rank_0.missing() >= 0) fail_silent("rank 0", options);
    if (!replica.has_work() && !has_heard) {
      std::this_thread::sleep_for(kNap);
      continue;
    }
    StepEvents events = replica.step();
    // What was heard may have changed its numbers.
    if (!events.is_empty() || has_heard)
      mailbox.post(0, encode(ReplicaStep{replica.stats(), replica.times(), std::move(events)}));
  }
}

}  // namespace ll
