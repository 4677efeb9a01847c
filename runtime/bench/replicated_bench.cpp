#include "runtime/bench/replicated_bench.h"

#include <algorithm>

#include "runtime/replicas/replica_messages.h"

namespace ll {
namespace {

using Clock = std::chrono::steady_clock;

// A message is its kind and what the comment says.
constexpr char kWork = 'W';      // to a replica: number of a request
constexpr char kRecall = 'R';    // to a replica: how many requests to give back
constexpr char kQuit = 'Q';      // to a replica
constexpr char kDone = 'D';      // from a replica: numbers of requests
constexpr char kReturned = 'B';  // from a replica: numbers of requests
constexpr char kTotals = 'T';    // from a replica, the last: ReplicaTotals

}  // namespace

std::vector<int64_t> BenchReplica::give_back(int64_t count) {
  std::vector<int64_t> given;
  for (; count > 0 && !waiting_.empty(); --count) {
    given.push_back(waiting_.back());
    waiting_.pop_back();
  }
  return given;
}

void BenchReplica::step(Engine& engine) {
  for (; !waiting_.empty(); waiting_.pop_front()) {
    SchedulerStats stats = engine.stats();
    if (engine.has_work() && stats.num_running + stats.num_waiting >= max_num_seqs_) break;
    int64_t request = waiting_.front();
    run_.submit(engine, requests_[static_cast<size_t>(request)], request);
  }
  stepper_.step(engine, [&] { run_.step(engine); });
}

std::vector<int64_t> BenchReplica::take_finished() {
  return std::exchange(run_.seen().finished, {});
}

ReplicatedBench::ReplicatedBench(const EngineConfig& config, BenchJob& job, const MpiGroup& leaders)
    : job_(job),
      leaders_(leaders),
      mailbox_(leaders),
      requests_(job.dataset()),
      own_(requests_, job.requests_run(), config.scheduler.max_num_seqs),
      queue_(leaders.size(), config.scheduler.max_num_seqs) {
  for (size_t i = 0; i < requests_.size(); ++i)
    queue_.push(RequestRouter::ticket(static_cast<int64_t>(i), requests_[i].prompt, 1,
                                      requests_[i].output_len));
}

ThroughputResult ReplicatedBench::run(Engine& engine, const std::function<void()>& on_warm) {
  job_.warm_up(engine);
  on_warm();
  warm_stats_ = engine.stats();
  warm_totals_ = engine.totals();
  leaders_.barrier();
  job_.requests_run().begin(job_.shared_tokens(requests_));
  if (leaders_.rank() > 0) {
    follow(engine);
    return {};
  }
  lead(engine);
  return collect(engine);
}

void ReplicatedBench::lead(Engine& engine) {
  auto before = Clock::now();
  while (!queue_.is_done()) {
    receive();
    queue_.hand_out([&](int replica, int64_t request) { give(replica, request); });
    recall();
    own_.step(engine);
    for (int64_t request : own_.take_finished()) queue_.remove(request);
    auto now = Clock::now();
    queue_.note_busy(std::chrono::duration<double>(now - before).count());
    before = now;
  }
  for (int r = 1; r < mailbox_.size(); ++r) mailbox_.post(r, std::string(1, kQuit));
}

void ReplicatedBench::give(int replica, int64_t request) {
  if (replica == mailbox_.rank())
    own_.push(request);
  else
    mailbox_.post(replica, replica_message(kWork, request));
}

void ReplicatedBench::recall() {
  auto [replica, count] = queue_.recall();
  if (replica < 0) return;
  if (replica == mailbox_.rank())
    queue_.take_back(own_.give_back(count));
  else
    mailbox_.post(replica, replica_message(kRecall, count));
}

void ReplicatedBench::receive() {
  while (auto m = mailbox_.poll()) {
    std::vector<int64_t> requests = values_of<int64_t>(m->text);
    if (kind_of(m->text) == kReturned) {
      queue_.take_back(requests);
      continue;
    }
    ensure(kind_of(m->text) == kDone, "message between replicas: unknown kind");
    for (int64_t request : requests) queue_.remove(request);
  }
}

void ReplicatedBench::follow(Engine& engine) {
  for (;;) {
    while (auto m = mailbox_.poll()) {
      char kind = kind_of(m->text);
      if (kind == kQuit) return mailbox_.post(0, replica_message(kTotals, own_totals(engine)));
      if (kind == kWork) {
        own_.push(head_of<int64_t>(m->text));
        continue;
      }
      ensure(kind == kRecall, "message between replicas: unknown kind");
      mailbox_.post(0, replica_message(kReturned, own_.give_back(head_of<int64_t>(m->text))));
    }
    own_.step(engine);
    auto finished = own_.take_finished();
    if (!finished.empty()) mailbox_.post(0, replica_message(kDone, finished));
  }
}

ReplicaTotals ReplicatedBench::own_totals(const Engine& engine) const {
  const BenchRun::Seen& seen = job_.requests_run().seen();
  return {seen.prompt_tokens, seen.output_tokens,
          engine.stats().cached_tokens - warm_stats_.cached_tokens,
          (engine.totals() - warm_totals_).steps, seen.floor_seconds};
}

ThroughputResult ReplicatedBench::collect(const Engine& engine) {
  std::vector<ReplicaTotals> all{own_totals(engine)};
  while (all.size() < static_cast<size_t>(mailbox_.size())) {
    auto m = mailbox_.poll();
    if (m && kind_of(m->text) == kTotals) all.push_back(head_of<ReplicaTotals>(m->text));
  }
  ThroughputResult result{.num_requests = static_cast<int64_t>(requests_.size()),
                          .seconds = queue_.seconds(),
                          .replicas_busy = queue_.busy_shares()};
  for (const ReplicaTotals& t : all) {
    result.prompt_tokens += t.prompt_tokens;
    result.output_tokens += t.output_tokens;
    result.cached_tokens += t.cached_tokens;
    result.num_steps += t.steps;
    // Replicas work at the same time.
    result.floor_seconds += t.floor_seconds / mailbox_.size();
  }
  return result;
}

}  // namespace ll
