#include "parallel/mpi/local_peers.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <sstream>

namespace ll {
namespace {

std::atomic<bool> was_explained = false;

int explained_signal() { return SIGRTMIN + 6; }

// What /proc/PID/stat says, see proc(5).
struct ProcessStat {
  char state = 0;
  int64_t start_time = 0;  // in clock ticks since the host started; 0: there is no such process
};

ProcessStat read_stat(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  ProcessStat stat;
  fields >> stat.state;
  std::string skipped;
  constexpr int kBetween = 18;  // fields between the state and the start time
  for (int i = 0; i < kBetween; ++i) fields >> skipped;
  fields >> stat.start_time;
  return fields ? stat : ProcessStat{};
}

}  // namespace

LocalPeers::LocalPeers(const MpiGroup& host, int rank) : rank_(rank) {
  struct sigaction action = {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = [](int) { was_explained = true; };
  sigaction(explained_signal(), &action, nullptr);
  auto ranks = host.all_gather(rank), pids = host.all_gather(getpid()),
       start_times = host.all_gather(read_stat(getpid()).start_time);
  for (size_t i = 0; i < ranks.size(); ++i) {
    Peer peer{static_cast<int>(ranks[i]), static_cast<pid_t>(pids[i]), start_times[i]};
    // A peer in a container of its own has an id that says nothing here.
    if (peer.rank != rank && state_of(peer) != State::kGone) peers_.push_back(peer);
  }
  std::sort(peers_.begin(), peers_.end(),
            [](const Peer& a, const Peer& b) { return a.rank < b.rank; });
}

LocalPeers::State LocalPeers::state_of(const Peer& peer) {
  ProcessStat stat = read_stat(peer.pid);
  if (stat.start_time != peer.start_time || stat.state == 'Z' || stat.state == 'X')
    return State::kGone;
  return stat.state == 'T' ? State::kStopped : State::kRunning;
}

std::string LocalPeers::find_fault() const {
  for (const Peer& peer : peers_)
    if (State state = state_of(peer); state != State::kRunning)
      return fmt::format("rank {} (process {}) {}", peer.rank, peer.pid,
                         state == State::kGone ? "died" : "is stopped");
  return "";
}

int LocalPeers::num_below() const {
  return static_cast<int>(std::count_if(peers_.begin(), peers_.end(),
                                        [&](const Peer& peer) { return peer.rank < rank_; }));
}

int LocalPeers::num_running_below() const {
  return static_cast<int>(std::count_if(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return peer.rank < rank_ && state_of(peer) == State::kRunning;
  }));
}

void LocalPeers::send_explained() const {
  for (const Peer& peer : peers_)
    if (state_of(peer) != State::kGone) kill(peer.pid, explained_signal());
}

void LocalPeers::signal_first(int signal) const {
  for (const Peer& peer : peers_)
    if (peer.rank == 0 && state_of(peer) != State::kGone) kill(peer.pid, signal);
}

bool LocalPeers::is_explained() { return was_explained; }

}  // namespace ll
