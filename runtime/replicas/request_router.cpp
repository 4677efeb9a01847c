#include "runtime/replicas/request_router.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash/hash.h"

namespace ll {
namespace {

constexpr size_t kStretch = 64;           // prompt tokens that are compared together
constexpr size_t kMaxPrefixes = 1 << 20;  // then they are forgotten
// A prompt token is computed with thousands of others, an output token with a few: its share of
// the time is smaller.
constexpr double kPromptShare = 0.25;

}  // namespace

RequestRouter::RequestRouter(int num_replicas, int64_t running, int64_t capacity)
    : running_(running), capacity_(capacity), replicas_(static_cast<size_t>(num_replicas)) {
  ensure(num_replicas > 0 && running > 0 && capacity >= running, "router: nothing to place on");
}

RequestRouter::Ticket RequestRouter::ticket(int64_t id, std::span<const int32_t> prompt,
                                            int64_t num_answers, int64_t max_tokens) {
  Ticket t{id, num_answers, max_tokens, static_cast<int64_t>(prompt.size())};
  Fnv64 hash;
  for (size_t i = 0; i < prompt.size(); ++i) {
    hash.add(static_cast<uint32_t>(prompt[i]));
    if ((i + 1) % kStretch == 0) t.prefixes.push_back(hash.value);
  }
  return t;
}

int RequestRouter::place(const Ticket& t, bool patient) {
  std::vector<double> work = work_of(t);
  int best = hurried_.contains(t.id) ? soonest(work, t.num_answers, running_) : -1;
  if (best < 0) best = soonest(work, t.num_answers, capacity_);
  if (best < 0 || (patient && best != soonest(work, t.num_answers, INT64_MAX))) return -1;
  // What stays is the answer's tokens: the prompt is computed soon after it is placed.
  Placed placed{best, t.num_answers, t.num_answers * t.max_tokens};
  Replica& replica = replicas_[static_cast<size_t>(best)];
  replica.work += placed.work;
  replica.answers += t.num_answers;
  ensure(placed_.emplace(t.id, placed).second, "router: a request is placed twice");
  remember(t, best);
  hurried_.erase(t.id);
  return best;
}

int RequestRouter::soonest(const std::vector<double>& work, int64_t num_answers,
                           int64_t limit) const {
  int best = -1;
  double earliest = 0;
  for (size_t r = 0; r < replicas_.size(); ++r) {
    const Replica& replica = replicas_[r];
    bool has_room = replica.answers == 0 || replica.answers + num_answers <= limit;
    double done = static_cast<double>(replica.work) + work[r];
    if (!has_room || (best >= 0 && done >= earliest)) continue;
    best = static_cast<int>(r);
    earliest = done;
  }
  return best;
}

void RequestRouter::remove(int64_t id) {
  auto found = placed_.find(id);
  if (found == placed_.end()) return;
  Replica& replica = replicas_[static_cast<size_t>(found->second.replica)];
  replica.work -= found->second.work;
  replica.answers -= found->second.answers;
  placed_.erase(found);
}

void RequestRouter::give_back(int64_t id) {
  remove(id);
  hurried_.insert(id);
}

RequestRouter::Recall RequestRouter::recall() const {
  size_t fullest = 0, emptiest = 0;
  for (size_t r = 1; r < replicas_.size(); ++r) {
    if (replicas_[r].answers > replicas_[fullest].answers) fullest = r;
    if (replicas_[r].answers < replicas_[emptiest].answers) emptiest = r;
  }
  int64_t waiting = replicas_[fullest].answers - running_,
          room = running_ - replicas_[emptiest].answers;
  if (waiting <= 0 || room <= 0) return {};
  return {static_cast<int>(fullest), std::min(waiting, room)};
}

// An output token costs more than a prompt token, and a known prompt token nothing.
std::vector<double> RequestRouter::work_of(const Ticket& t) const {
  std::vector<int64_t> known(replicas_.size());
  for (size_t stretch = 0; stretch < t.prefixes.size(); ++stretch) {
    auto found = seen_.find(t.prefixes[stretch]);
    if (found == seen_.end()) break;
    for (size_t r = 0; r < replicas_.size(); ++r)
      if (found->second[r]) known[r] = static_cast<int64_t>((stretch + 1) * kStretch);
  }
  std::vector<double> work;
  for (int64_t k : known)
    work.push_back(static_cast<double>(t.num_answers * t.max_tokens) +
                   kPromptShare * static_cast<double>(t.prompt_tokens - k));
  return work;
}

void RequestRouter::remember(const Ticket& t, int replica) {
  if (seen_.size() + t.prefixes.size() > kMaxPrefixes) seen_.clear();
  for (uint64_t hash : t.prefixes) {
    auto& who = seen_.try_emplace(hash, replicas_.size()).first->second;
    who[static_cast<size_t>(replica)] = true;
  }
}

}  // namespace ll
