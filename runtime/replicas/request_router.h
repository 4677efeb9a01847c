#pragma once
// Policy of several replicas that share one queue: which of them takes the next request, and who
// gives back what it has not begun. Knows requests by their sizes and prompts only.
//
// A request goes to the replica that will be done with it soonest: the work a replica has yet to
// do, less what its radix cache spares. Replicas hold little that has not begun, so that the queue
// stays central; near the end, when it is empty, one without work takes over what others hold.
#include <algorithm>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace ll {

class RequestRouter {
 public:
  // `running`: answers a replica can run at once; `capacity`: those it may hold, more than that so
  // that none of its slots stays empty.
  RequestRouter(int num_replicas, int64_t running, int64_t capacity);
  // A few beside those that run, so that a slot that falls free is filled at once.
  static int64_t usual_capacity(int64_t running) {
    return running + std::max<int64_t>(1, running / 8);
  }

  // What the router knows of a request.
  struct Ticket {
    int64_t id = 0;
    int64_t num_answers = 1, max_tokens = 0, prompt_tokens = 0;
    int32_t priority = 0;            // Request::priority
    std::vector<uint64_t> prefixes;  // hashes of the prompt's first 1, 2, ... stretches
  };
  static Ticket ticket(int64_t id, std::span<const int32_t> prompt, int64_t num_answers,
                       int64_t max_tokens);

  // The replica that takes the request now; -1: all are full. With `patient`, also -1 where the
  // replica that would be best is full: others of the queue may suit those with room better.
  int place(const Ticket& ticket, bool patient = false);
  // The request is answered. One that was never placed is no mistake.
  void remove(int64_t id);
  // The request was given back: it is to go where it can begin at once.
  void give_back(int64_t id);

  // A replica that holds more than it can have begun, while another could begin it at once: asked
  // to give back this many requests.
  struct Recall {
    int replica = -1;  // none
    int64_t count = 0;
  };
  Recall recall() const;

  int64_t num_placed() const { return static_cast<int64_t>(placed_.size()); }
  int64_t num_open(int replica) const { return replicas_[static_cast<size_t>(replica)].answers; }

 private:
  struct Replica {
    int64_t work = 0;  // tokens of answers not yet finished
    int64_t answers = 0;
  };
  struct Placed {
    int replica;
    int64_t answers, work;
  };
  // The replica that is done first among those with at most `limit` answers, the request's
  // included; work[r] is the request's on replica r.
  int soonest(const std::vector<double>& work, int64_t num_answers, int64_t limit) const;
  std::vector<double> work_of(const Ticket& ticket) const;
  void remember(const Ticket& ticket, int replica);

  int64_t running_, capacity_;
  std::vector<Replica> replicas_;
  std::unordered_map<int64_t, Placed> placed_;            // by id
  std::unordered_set<int64_t> hurried_;                   // given back
  std::unordered_map<uint64_t, std::vector<bool>> seen_;  // by hash of a prefix: who has it
};

}  // namespace ll
