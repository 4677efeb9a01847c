#pragma once
// The queue that several replicas share, as its owner sees it: what waits, who was given what, and
// who shall give some of it back. Knows requests by their numbers and tickets; what moves between
// the replicas is its user's.
#include <deque>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/replicas/request_router.h"

namespace ll {

class RequestQueue {
 public:
  // `running`: answers a replica can run at once.
  RequestQueue(int num_replicas, int64_t running)
      : router_(num_replicas, running, RequestRouter::usual_capacity(running)),
        busy_seconds_(static_cast<size_t>(num_replicas)) {}

  // Behind all of its priority and of lower numbers.
  void push(RequestRouter::Ticket ticket);
  // Whether fewer wait than are looked through for those that suit a replica.
  bool wants_more() const { return waiting_.size() < kWindow; }
  // Nothing waits, and what was given is answered.
  bool is_done() const { return waiting_.empty() && given_.empty(); }

  // give(replica, id) for each request that now goes to a replica.
  using Give = std::function<void(int replica, int64_t id)>;
  void hand_out(const Give& give);
  // The request is answered, or no longer wanted. One that was never here is no mistake.
  void remove(int64_t id);
  // Requests a replica was given that are not answered, in answers.
  int64_t num_open(int replica) const { return router_.num_open(replica); }

  // When nothing waits, a replica with free slots takes over what another has not begun: whom to
  // ask, and for how many; replica -1 for nobody. Nobody else is asked before take_back().
  RequestRouter::Recall recall();
  // The answer, which may be empty.
  void take_back(std::span<const int64_t> ids);

  // So much time went by; replicas that had something to do were busy.
  void note_busy(double seconds);
  double seconds() const { return seconds_; }
  // The share of that time in which each replica was busy.
  std::vector<double> busy_shares() const;

 private:
  static constexpr size_t kWindow = 64;
  bool place(RequestRouter::Ticket& ticket, bool patient, const Give& give);

  RequestRouter router_;
  std::deque<RequestRouter::Ticket> waiting_;                 // by priority
  std::unordered_map<int64_t, RequestRouter::Ticket> given_;  // by id
  std::vector<double> busy_seconds_;                          // of each replica
  double seconds_ = 0;
  bool is_recalling_ = false;  // an answer is on its way
};

}  // namespace ll
