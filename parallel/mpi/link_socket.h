#pragma once
// Short records over TCP between processes that run the same program. Nothing here waits, but for
// the making of a connection.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ll {

struct LinkRecord {
  enum class Kind : int32_t { kHello, kWelcome, kAlive, kExplained, kAsked, kSignal, kBye };
  Kind kind = Kind::kAlive;
  int32_t value = 0;
  uint64_t token = 0;  // of the job: strangers do not know it
  std::string text;    // the first 231 bytes of it travel
};

// One end of a connection.
class LinkSocket {
 public:
  explicit LinkSocket(int fd);
  ~LinkSocket();
  LinkSocket(LinkSocket&& other) noexcept;
  LinkSocket& operator=(LinkSocket&& other) noexcept;

  int fd() const { return fd_; }
  // Hands it to the system, or as much as that takes; a later call sends the rest. Where much waits
  // it is left out.
  void send(const LinkRecord& record);
  // What has come, in order; `is_open` becomes false at the end.
  std::vector<LinkRecord> receive(bool& is_open);

 private:
  int fd_;
  std::string in_, out_;
};

// A socket that takes connections at any address of this host.
struct LinkListener {
  int fd = -1;
  uint16_t port = 0;
};
// Throws Error when there is none to be had.
LinkListener listen_for_links();
std::optional<LinkSocket> accept_link(const LinkListener& listener);

// The IPv4 addresses of this host that others may know, "10.0.0.7".
std::vector<std::string> host_addresses();
// None when nobody takes it within `limit`.
std::optional<LinkSocket> connect_link(const std::string& address, uint16_t port,
                                       std::chrono::milliseconds limit);
// The next record, or none when none has come within `limit`.
std::optional<LinkRecord> await_record(LinkSocket& socket, std::chrono::milliseconds limit);

}  // namespace ll
