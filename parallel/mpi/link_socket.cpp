#include "parallel/mpi/link_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check_call.h"

namespace ll {
namespace {

using std::chrono::milliseconds;

struct Wire {
  LinkRecord::Kind kind;
  int32_t value;
  uint64_t token;
  char text[232];
};

constexpr size_t kMostWaiting = 16 * sizeof(Wire);

bool is_ready(int fd, int16_t event, milliseconds limit) {
  pollfd wanted = {fd, event, 0};
  return ::poll(&wanted, 1, static_cast<int>(limit.count())) == 1;
}

sockaddr_in address_of(const std::string& text, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1) address.sin_family = AF_UNSPEC;
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

LinkSocket::LinkSocket(int fd) : fd_(fd) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
}

LinkSocket::~LinkSocket() {
  if (fd_ >= 0) ::close(fd_);
}

LinkSocket::LinkSocket(LinkSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)), out_(std::move(other.out_)) {}

LinkSocket& LinkSocket::operator=(LinkSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(in_, other.in_);
  std::swap(out_, other.out_);
  return *this;
}

void LinkSocket::send(const LinkRecord& record) {
  if (out_.size() < kMostWaiting) {
    Wire wire = {record.kind, record.value, record.token, {}};
    record.text.copy(wire.text, sizeof wire.text - 1);
    out_.append(reinterpret_cast<const char*>(&wire), sizeof wire);
  }
  ssize_t sent = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
  if (sent > 0) out_.erase(0, static_cast<size_t>(sent));
}

std::vector<LinkRecord> LinkSocket::receive(bool& is_open) {
  char buffer[16 * sizeof(Wire)];
  for (;;) {
    ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    is_open = n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
    if (n <= 0) break;
    in_.append(buffer, static_cast<size_t>(n));
  }
  std::vector<LinkRecord> records;
  for (; in_.size() >= sizeof(Wire); in_.erase(0, sizeof(Wire))) {
    Wire wire;
    std::memcpy(&wire, in_.data(), sizeof wire);
    wire.text[sizeof wire.text - 1] = '\0';
    records.push_back({wire.kind, wire.value, wire.token, wire.text});
  }
  return records;
}

LinkListener listen_for_links() {
  LinkListener listener{.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_in any = {};
  any.sin_family = AF_INET;
  socklen_t size = sizeof any;
  bool is_listening = listener.fd >= 0 && ::bind(listener.fd, generic(any), size) == 0 &&
                      ::listen(listener.fd, SOMAXCONN) == 0 &&
                      ::getsockname(listener.fd, reinterpret_cast<sockaddr*>(&any), &size) == 0;
  check_call(is_listening, "no socket for the ranks of other hosts");
  listener.port = ntohs(any.sin_port);
  return listener;
}

std::optional<LinkSocket> accept_link(const LinkListener& listener) {
  int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return std::nullopt;
  return LinkSocket(fd);
}

std::vector<std::string> host_addresses() {
  std::vector<std::string> all;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return all;
  for (ifaddrs* one = list; one; one = one->ifa_next) {
    bool is_up = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_LOOPBACK) == 0;
    if (!is_up || !one->ifa_addr || one->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN] = "";
    const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text)) all.emplace_back(text);
  }
  ::freeifaddrs(list);
  return all;
}

std::optional<LinkSocket> connect_link(const std::string& address, uint16_t port,
                                       milliseconds limit) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return std::nullopt;
  LinkSocket link(fd);
  sockaddr_in to = address_of(address, port);
  bool is_begun = ::connect(fd, generic(to), sizeof to) == 0 || errno == EINPROGRESS;
  if (!is_begun || !is_ready(fd, POLLOUT, limit)) return std::nullopt;
  int error = 0;
  socklen_t size = sizeof error;
  bool is_open = ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  return is_open ? std::optional(std::move(link)) : std::nullopt;
}

std::optional<LinkRecord> await_record(LinkSocket& socket, milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  auto end = Clock::now() + limit;
  for (bool is_open = true; is_open && Clock::now() < end;) {
    auto records = socket.receive(is_open);
    if (!records.empty()) return records.front();
    is_ready(socket.fd(), POLLIN, milliseconds(100));
  }
  return std::nullopt;
}

}  // namespace ll
