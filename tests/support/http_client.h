#pragma once
// HTTP/1.1 from the other side, close to the bytes. Nothing waits longer than kPatience.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ll::test {

struct HttpReply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

inline std::string http_request(std::string_view method, std::string_view path,
                                std::string_view body = "", std::string_view headers = "") {
  std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n";
  if (!body.empty())
    text +=
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  return text.append(headers).append("\r\n").append(body);
}

class HttpClient {
 public:
  // To 127.0.0.1; a small `receive_buffer` makes a slow reader.
  explicit HttpClient(int port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    set_patience();
    if (receive_buffer > 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot connect");
  }
  // To a Unix socket.
  explicit HttpClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    set_patience();
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot connect");
  }
  ~HttpClient() { close(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // The peer sees the end of what is sent, and may still answer.
  void end_sending() { ::shutdown(fd_, SHUT_WR); }

  // False once the peer has closed the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  // Status, headers and the whole body; throws when the connection ends before.
  HttpReply read_reply(bool has_body = true) {
    HttpReply reply = read_head();
    if (!has_body || reply.status == 204) return reply;
    if (reply.headers.contains("content-length")) {
      reply.body = take(std::stoul(reply.headers["content-length"]));
    } else if (reply.headers.contains("transfer-encoding")) {
      for (std::string piece; !(piece = read_chunk()).empty();) reply.body += piece;
    } else {
      while (fill()) {
      }
      reply.body = std::move(buffer_);
    }
    return reply;
  }
  HttpReply read_head() {
    HttpReply reply;
    std::string line = read_line();
    if (!line.starts_with("HTTP/1.1 ")) throw std::runtime_error("no status line: " + line);
    reply.status = std::stoi(line.substr(9, 3));
    while (!(line = read_line()).empty()) {
      size_t colon = line.find(": ");
      std::string name = line.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      reply.headers[name] = line.substr(colon + 2);
    }
    return reply;
  }
  // The next of a chunked body; empty at its end.
  std::string read_chunk() {
    size_t size = std::stoul(read_line(), nullptr, 16);
    std::string bytes = take(size);
    read_line();
    return bytes;
  }

  HttpReply ask(std::string_view method, std::string_view path, std::string_view body = "",
                std::string_view headers = "") {
    send(http_request(method, path, body, headers));
    return read_reply();
  }

  // Whether the peer closes the connection without another byte.
  bool is_at_end() { return buffer_.empty() && !fill(); }

 private:
  void set_patience() const {
    constexpr timeval kPatience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  }
  bool fill() {
    char bytes[65536];
    ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n > 0) buffer_.append(bytes, static_cast<size_t>(n));
    return n > 0;
  }
  std::string take(size_t size) {
    while (buffer_.size() < size)
      if (!fill()) throw std::runtime_error("the connection ended early");
    std::string bytes = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return bytes;
  }
  std::string read_line() {
    size_t end;
    while ((end = buffer_.find("\r\n")) == std::string::npos)
      if (!fill()) throw std::runtime_error("the connection ended early");
    std::string line = take(end);
    take(2);
    return line;
  }

  int fd_;
  std::string buffer_;
};

}  // namespace ll::test
