#include "runtime/replicas/replica_fleet.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "base/check.h"
#include "runtime/replicas/replica_messages.h"

namespace ll {
namespace {

// Between looks at a mailbox, without work.
constexpr auto kPoolNap = std::chrono::microseconds(300);
constexpr auto kSignOfLife = std::chrono::milliseconds(500);

}  // namespace

ReplicaFleet::ReplicaFleet(Engine& engine, const MpiGroup& leaders, const PoolOptions& options)
    : options_(options),
      mailbox_(leaders),
      own_(engine, options.max_num_seqs),
      queue_(mailbox_.size(), options.max_num_seqs),
      signs_(mailbox_.size(), options.patience(), Clock::now()),
      stats_(static_cast<size_t>(mailbox_.size())),
      times_(static_cast<size_t>(mailbox_.size()), engine.times()),  // as many ranks, no steps
      names_(static_cast<size_t>(mailbox_.size())),
      now_(Clock::now()),
      alive_sent_(now_),
      own_stepped_(now_) {}

// A message that nobody receives would hold up its sender.
ReplicaFleet::~ReplicaFleet() {
  if (std::uncaught_exceptions() > 0) return;
  try {
    for (int r = 1; r < mailbox_.size(); ++r) mailbox_.post(r, encode(ReplicaMessage::kQuit));
    StepEvents ignored;
    while (num_left_ < mailbox_.size() - 1) receive(ignored);
  } catch (const Error& e) {
    fmt::print(stderr, "litelang: cannot stop the other replicas: {}\n", e.what());
  }
}

void ReplicaFleet::submit(std::shared_ptr<const Request> request) {
  const Request& r = *request;
  auto n = static_cast<size_t>(r.params.n);
  auto ticket = RequestRouter::ticket(r.id, r.prompt, r.params.n, r.params.max_tokens);
  ticket.priority = r.priority;
  queue_.push(std::move(ticket));
  bool is_new =
      open_.emplace(r.id, Open{std::move(request), -1, std::vector<bool>(n), r.params.n}).second;
  ensure(is_new, "replicas: a request's number is in use");
}

void ReplicaFleet::end(SequenceId sequence) {
  auto found = open_.find(sequence.request);
  if (found == open_.end()) return;
  int replica = found->second.replica;
  ensure(replica >= 0, "replicas: the end of what has not begun");
  if (is_own(replica))
    own_.end(sequence);
  else
    mailbox_.post(replica, encode(sequence));
  note_end(sequence);
}

void ReplicaFleet::cancel(int64_t request) {
  auto found = open_.find(request);
  if (found == open_.end()) return;
  int replica = found->second.replica;
  if (is_own(replica))
    own_.cancel(request);
  else if (replica >= 0)
    mailbox_.post(replica, encode(ReplicaMessage::kCancel, request));
  close(request);
}

StepEvents ReplicaFleet::step() {
  note_times();
  StepEvents events;
  receive(events);
  check_alive();
  queue_.hand_out([&](int replica, int64_t request) { give(replica, request); });
  recall();
  send_signs_of_life();
  step_own(events);
  note_ends(events);
  return events;
}

void ReplicaFleet::note_times() {
  auto now = Clock::now();
  if (has_stepped_) queue_.note_busy(std::chrono::duration<double>(now - now_).count());
  has_stepped_ = true;
  now_ = now;
  signs_.tick(now);
}

void ReplicaFleet::receive(StepEvents& events) {
  while (auto m = mailbox_.poll()) handle(m->from, m->text, events);
}

void ReplicaFleet::handle(int from, std::string_view message, StepEvents& events) {
  signs_.heard(from);
  switch (kind_of(message)) {
    case ReplicaMessage::kHello:
      names_[static_cast<size_t>(from)] = decode_text(message);
      break;
    case ReplicaMessage::kStep: {
      ReplicaStep step = decode_step(message);
      stats_[static_cast<size_t>(from)] = step.stats;
      times_[static_cast<size_t>(from)] = std::move(step.times);
      events.append(std::move(step.events));
      break;
    }
    case ReplicaMessage::kReturned:
      take_back(decode_values(message));
      break;
    case ReplicaMessage::kBye:
      ++num_left_;
      break;
    default:
      ensure(false, "message between replicas: unknown kind");
  }
}

void ReplicaFleet::check_alive() {
  for (int r = 1; r < mailbox_.size(); ++r) signs_.holds_work(r, queue_.num_open(r) > 0);
  int missing = signs_.missing();
  if (missing < 0) return;
  const std::string& name = names_[static_cast<size_t>(missing)];
  fail_silent(name.empty() ? fmt::format("the first rank of replica {}", missing) : name, options_);
}

void ReplicaFleet::give(int replica, int64_t request) {
  Open& open = open_.at(request);
  open.replica = replica;
  if (is_own(replica))
    own_.push(open.request);
  else
    mailbox_.post(replica, encode(*open.request));
}

void ReplicaFleet::recall() {
  auto [replica, count] = queue_.recall();
  if (replica < 0) return;
  if (is_own(replica))
    take_back(own_.give_back(count));
  else
    mailbox_.post(replica, encode(ReplicaMessage::kRecall, count));
}

// Some may have been cancelled while they were on their way.
void ReplicaFleet::take_back(std::vector<int64_t> requests) {
  std::erase_if(requests, [&](int64_t id) { return !open_.contains(id); });
  for (int64_t id : requests) open_.at(id).replica = -1;
  queue_.take_back(requests);
}

// The engine's workers want to hear of it now and then, too, when there is nothing to do.
void ReplicaFleet::step_own(StepEvents& events) {
  if (!own_.has_work() && now_ - own_stepped_ <= kSignOfLife) {
    if (events.is_empty()) std::this_thread::sleep_for(kPoolNap);
    return;
  }
  events.append(own_.step());
  own_stepped_ = Clock::now();
}

void ReplicaFleet::note_ends(const StepEvents& events) {
  for (const DrawnToken& drawn : events.tokens)
    if (drawn.finish_reason != FinishReason::kNone) note_end(drawn.sequence);
}

void ReplicaFleet::note_end(SequenceId sequence) {
  auto found = open_.find(sequence.request);
  if (found == open_.end()) return;
  auto index = static_cast<size_t>(sequence.index);
  if (found->second.has_ended[index]) return;
  found->second.has_ended[index] = true;
  if (--found->second.num_running == 0) close(sequence.request);
}

void ReplicaFleet::close(int64_t request) {
  queue_.remove(request);
  open_.erase(request);
}

void ReplicaFleet::send_signs_of_life() {
  if (now_ - alive_sent_ < kSignOfLife) return;
  alive_sent_ = now_;
  for (int r = 1; r < mailbox_.size(); ++r) mailbox_.post(r, encode(ReplicaMessage::kAlive));
}

SchedulerStats ReplicaFleet::stats() const {
  SchedulerStats sum = own_.stats();
  for (size_t r = 1; r < stats_.size(); ++r) {
    const SchedulerStats& s = stats_[r];
    sum.num_waiting += s.num_waiting;
    sum.num_running += s.num_running;
    sum.num_preemptions += s.num_preemptions;
    sum.prompt_tokens += s.prompt_tokens;
    sum.cached_tokens += s.cached_tokens;
    sum.draft_tokens += s.draft_tokens;
    sum.accepted_tokens += s.accepted_tokens;
    sum.kv_usage += s.kv_usage;
  }
  sum.kv_usage /= static_cast<double>(stats_.size());
  return sum;
}

GroupTimes ReplicaFleet::times() const {
  GroupTimes all = own_.times();
  for (size_t r = 1; r < times_.size(); ++r) all.append(times_[r]);
  return all;
}

}  // namespace ll
