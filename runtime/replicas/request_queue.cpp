#include "runtime/replicas/request_queue.h"

#include <algorithm>

#include "base/check.h"

namespace ll {
namespace {

bool comes_before(const RequestRouter::Ticket& a, const RequestRouter::Ticket& b) {
  return a.priority < b.priority;
}

}  // namespace

void RequestQueue::push(RequestRouter::Ticket ticket) {
  auto place = std::upper_bound(waiting_.begin(), waiting_.end(), ticket, comes_before);
  waiting_.insert(place, std::move(ticket));
}

// First what suits the replicas with room best, by what they know of its prompt, among those of the
// first priority; while there is room nobody waits for better.
void RequestQueue::hand_out(const Give& give) {
  do {
    size_t window = std::min(kWindow, waiting_.size()), kept = 0;
    while (window > 0 && comes_before(waiting_.front(), waiting_[window - 1])) --window;
    for (size_t i = 0; i < window; ++i) {
      if (place(waiting_[i], /*patient=*/true, give)) continue;
      if (kept != i) waiting_[kept] = std::move(waiting_[i]);
      ++kept;
    }
    auto begin = waiting_.begin();
    waiting_.erase(begin + static_cast<std::ptrdiff_t>(kept),
                   begin + static_cast<std::ptrdiff_t>(window));
    if (waiting_.empty() || !place(waiting_.front(), /*patient=*/false, give)) return;
    waiting_.pop_front();
  } while (!waiting_.empty());
}

// Takes the ticket when a replica takes the request.
bool RequestQueue::place(RequestRouter::Ticket& ticket, bool patient, const Give& give) {
  int replica = router_.place(ticket, patient);
  if (replica < 0) return false;
  int64_t id = ticket.id;
  given_.emplace(id, std::move(ticket));
  give(replica, id);
  return true;
}

void RequestQueue::remove(int64_t id) {
  router_.remove(id);
  if (given_.erase(id) == 0)
    std::erase_if(waiting_, [&](const RequestRouter::Ticket& t) { return t.id == id; });
}

RequestRouter::Recall RequestQueue::recall() {
  if (!waiting_.empty() || is_recalling_) return {};
  RequestRouter::Recall recall = router_.recall();
  is_recalling_ = recall.replica >= 0;
  return recall;
}

void RequestQueue::take_back(std::span<const int64_t> ids) {
  is_recalling_ = false;
  for (int64_t id : ids) {
    auto found = given_.find(id);
    ensure(found != given_.end(), "a replica gives back what it was not given");
    router_.give_back(id);
    auto place = std::lower_bound(waiting_.begin(), waiting_.end(), found->second, comes_before);
    waiting_.insert(place, std::move(found->second));
    given_.erase(found);
  }
}

void RequestQueue::note_busy(double seconds) {
  seconds_ += seconds;
  for (size_t r = 0; r < busy_seconds_.size(); ++r)
    if (router_.num_open(static_cast<int>(r)) > 0) busy_seconds_[r] += seconds;
}

std::vector<double> RequestQueue::busy_shares() const {
  std::vector<double> shares;
  for (double busy : busy_seconds_) shares.push_back(seconds_ > 0 ? busy / seconds_ : 0);
  return shares;
}

}  // namespace ll
