#include "parallel/mpi/host_links.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <list>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "base/heartbeat.h"
#include "parallel/mpi/link_socket.h"
#include "parallel/mpi/mpi_environment.h"

namespace ll {
namespace {

using std::chrono::milliseconds;
using Clock = Heartbeat::Clock;
using Kind = LinkRecord::Kind;

constexpr milliseconds kConnectLimit(2000);

// Between two words of a rank.
milliseconds period_of(std::chrono::seconds patience) {
  if (patience.count() == 0) return milliseconds(1000);
  return std::clamp(milliseconds(patience) / 10, milliseconds(50), milliseconds(1000));
}

uint64_t random_token() {
  std::random_device random;
  return (uint64_t{random()} << 32) | random();
}

// The other end of a connection.
struct Peer {
  enum class State { kStranger, kOpen, kLeft, kDied };
  LinkSocket socket;
  Heartbeat heart;
  Clock::time_point heard;
  State state = State::kStranger;
  HostLinks::Place place = {};  // as it last said
  bool is_silent = false;
};

HostLinks::Place place_of(const std::string& text) {
  size_t end = std::min(text.find('\n'), text.size());
  return {text.substr(0, end), text.substr(std::min(end + 1, text.size()))};
}

std::string text_of(const HostLinks::Place& place) { return place.who + '\n' + place.where; }

}  // namespace

struct HostLinks::State {
  explicit State(const MpiGroup& world, std::chrono::seconds patience)
      : name(fmt::format("rank {} on {}", world.rank(), MpiEnvironment::host_name())),
        patience(patience),
        period(period_of(patience)),
        said(Clock::now()) {}
  ~State() {
    stop = true;
    if (thread.joinable()) thread.join();
    send(Kind::kBye);
    if (listener.fd >= 0) ::close(listener.fd);
  }

  // Rank 0's end, and another's; these do not see where rank 0 is.
  void listen();
  bool reach(const std::string& addresses);

  void send(Kind kind, int32_t value = 0);
  std::string find_fault(milliseconds silence);

  LinkRecord record(Kind kind, int32_t value = 0, const std::string& text = "") const {
    return {kind, value, token, text};
  }
  Peer& add(LinkSocket socket) {
    auto now = Clock::now();
    return peers.emplace_back(Peer{std::move(socket), Heartbeat(patience, period, now), now});
  }
  void run();
  void wait_for_records();
  void receive();
  void obey(Peer& peer, const LinkRecord& record);
  void look();
  void tell_watcher();

  std::string name;
  std::chrono::seconds patience;
  milliseconds period;
  bool is_first_away = false;
  uint64_t token = 0;
  LinkListener listener;
  std::atomic<bool> stop = false, is_explained = false;
  std::mutex mutex;  // of the peers
  std::list<Peer> peers;
  std::atomic<Clock::time_point> said;
  std::mutex watcher_mutex;  // held while it is called
  Watcher watcher;
  std::thread thread;
};

void HostLinks::State::listen() {
  token = random_token();
  listener = listen_for_links();
  thread = std::thread([this] { run(); });
}

// `addresses`: token, port and addresses of rank 0.
bool HostLinks::State::reach(const std::string& addresses) {
  std::istringstream in(addresses);
  uint16_t port = 0;
  in >> token >> port;
  for (std::string address; in >> address;) {
    auto socket = connect_link(address, port, kConnectLimit);
    if (!socket) continue;
    socket->send(record(Kind::kHello, 0, text_of({name, "while starting"})));
    auto answer = await_record(*socket, kConnectLimit);
    if (!answer || answer->kind != Kind::kWelcome || answer->token != token) continue;
    Peer& peer = add(std::move(*socket));
    peer.state = Peer::State::kOpen;
    peer.place = place_of(answer->text);
    thread = std::thread([this] { run(); });
    return true;
  }
  return false;
}

void HostLinks::State::send(Kind kind, int32_t value) {
  std::lock_guard lock(mutex);
  for (Peer& peer : peers)
    if (peer.state == Peer::State::kOpen) peer.socket.send(record(kind, value));
}

void HostLinks::State::run() {
  while (!stop) {
    wait_for_records();
    receive();
    if (Clock::now() - said.load() >= period) look();
    tell_watcher();
  }
}

void HostLinks::State::wait_for_records() {
  std::vector<pollfd> fds;
  if (listener.fd >= 0) fds.push_back({listener.fd, POLLIN, 0});
  {
    std::lock_guard lock(mutex);
    for (const Peer& peer : peers)
      if (peer.state != Peer::State::kDied) fds.push_back({peer.socket.fd(), POLLIN, 0});
  }
  // Short, so that the end of this process does not wait for it.
  milliseconds limit = std::min(period, milliseconds(100));
  ::poll(fds.data(), fds.size(), static_cast<int>(limit.count()));
}

void HostLinks::State::receive() {
  std::lock_guard lock(mutex);
  while (listener.fd >= 0) {
    auto socket = accept_link(listener);
    if (!socket) break;
    add(std::move(*socket));
  }
  for (auto peer = peers.begin(); peer != peers.end();) {
    bool is_open = peer->state != Peer::State::kDied;
    if (is_open)
      for (const LinkRecord& r : peer->socket.receive(is_open)) obey(*peer, r);
    bool is_known = peer->state == Peer::State::kOpen || peer->state == Peer::State::kDied;
    if (!is_open && is_known) peer->state = Peer::State::kDied;
    peer = is_open || is_known ? std::next(peer) : peers.erase(peer);
  }
}

void HostLinks::State::obey(Peer& peer, const LinkRecord& r) {
  if (r.token != token) return;
  peer.heard = Clock::now();
  peer.heart.beat(peer.heard);
  switch (r.kind) {
    case Kind::kHello:
      peer.state = Peer::State::kOpen;
      peer.place = place_of(r.text);
      peer.socket.send(record(Kind::kWelcome, 0, text_of({name, "while starting"})));
      break;
    case Kind::kAlive:
      peer.place = place_of(r.text);
      break;
    case Kind::kExplained:
      is_explained = true;
      for (Peer& other : peers)
        if (&other != &peer && other.state == Peer::State::kOpen) other.socket.send(r);
      peer.state = Peer::State::kLeft;
      break;
    case Kind::kAsked:
    case Kind::kBye:
      peer.state = Peer::State::kLeft;
      break;
    case Kind::kSignal:
      if (r.value == SIGUSR1 || r.value == SIGTERM) ::kill(::getpid(), r.value);
      break;
    case Kind::kWelcome:
      break;
  }
}

// Says where this rank is, and sees who has said so.
void HostLinks::State::look() {
  Place place{name, "while starting"};
  {
    std::lock_guard lock(watcher_mutex);
    if (watcher.place) place = watcher.place();
  }
  std::lock_guard lock(mutex);
  auto now = Clock::now();
  said = now;
  for (Peer& peer : peers) {
    if (peer.state != Peer::State::kOpen) continue;
    peer.socket.send(record(Kind::kAlive, 0, text_of(place)));
    peer.is_silent |= peer.heart.is_silent(now);
  }
}

std::string HostLinks::State::find_fault(milliseconds silence) {
  std::lock_guard lock(mutex);
  const Peer* lost = nullptr;
  for (const Peer& peer : peers) {
    if (peer.state == Peer::State::kDied)
      return fmt::format("{} died {}", peer.place.who, peer.place.where);
    if (peer.state == Peer::State::kOpen && (!lost || peer.heard < lost->heard)) lost = &peer;
  }
  if (!lost || Clock::now() - lost->heard < silence) return "";
  auto seconds = std::chrono::duration<double>(Clock::now() - lost->heard).count();
  return fmt::format(
      "{} has said nothing for {:.1f} s, since it was {}: it is stopped, or its "
      "host or link is down",
      lost->place.who, seconds, lost->place.where);
}

void HostLinks::State::tell_watcher() {
  bool is_lost = false;
  {
    std::lock_guard lock(mutex);
    for (const Peer& peer : peers) is_lost |= peer.is_silent || peer.state == Peer::State::kDied;
  }
  if (!is_lost) return;
  std::lock_guard lock(watcher_mutex);
  if (watcher.lost) watcher.lost(find_fault(milliseconds(0)));
}

std::shared_ptr<HostLinks> HostLinks::connect(const MpiGroup& world, const MpiGroup& host,
                                              std::chrono::seconds patience) {
  bool is_away = host.min(world.rank()) > 0;
  auto away = world.all_gather(is_away);
  auto first_away = std::find(away.begin(), away.end(), 1);
  if (first_away == away.end()) return nullptr;
  std::unique_ptr<State> state;
  std::string addresses;
  if (world.rank() == 0) {
    state = std::make_unique<State>(world, patience);
    state->listen();
    addresses = fmt::format("{} {} {}", state->token, state->listener.port,
                            fmt::join(host_addresses(), " "));
  }
  addresses = world.broadcast_text(addresses, 0);
  if (is_away) {
    state = std::make_unique<State>(world, patience);
    state->is_first_away = world.rank() == first_away - away.begin();
    if (!state->reach(addresses)) {
      if (host.rank() == 0)
        fmt::print(stderr,
                   "litelang-run: {}: rank 0 cannot be reached at {}: when ranks of other hosts "
                   "die, it is for mpirun or srun, or step_timeout_s, to notice\n",
                   state->name, addresses.substr(addresses.find(' ') + 1));
      state.reset();
    }
  }
  world.barrier();
  if (!state) return nullptr;
  return std::shared_ptr<HostLinks>(new HostLinks(std::move(state)));
}

HostLinks::HostLinks(std::unique_ptr<State> state) : state_(std::move(state)) {}

HostLinks::~HostLinks() = default;

bool HostLinks::is_first_away() const { return state_->is_first_away; }

void HostLinks::watch(Watcher watcher) {
  {
    std::lock_guard lock(state_->watcher_mutex);
    state_->watcher = std::move(watcher);
  }
  tell();
}

void HostLinks::tell() { state_->look(); }

std::string HostLinks::find_fault(milliseconds silence) const {
  return state_->find_fault(silence);
}

bool HostLinks::has_silent() const {
  std::lock_guard lock(state_->mutex);
  auto latest = Clock::now() - 4 * state_->period;
  return std::any_of(state_->peers.begin(), state_->peers.end(), [&](const Peer& p) {
    return p.state == Peer::State::kOpen && p.heard < latest;
  });
}

void HostLinks::send_explained() { state_->send(Kind::kExplained); }

bool HostLinks::is_explained() const { return state_->is_explained; }

void HostLinks::send_asked() { state_->send(Kind::kAsked); }

void HostLinks::send_signal(int signal) { state_->send(Kind::kSignal, signal); }

}  // namespace ll
