#pragma once
// The door to Boost.Asio and Beast: an HTTP/1.1 server that runs on one thread, whatever the number
// of connections.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/input_file.h"
#include "runtime/server/http_message.h"

namespace ll {

class HttpConnection;

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8000;                // 0: any that is free
  std::string unix_socket;        // a path, in the place of host and port
  std::string tls_cert, tls_key;  // files in PEM; empty: no TLS
  size_t max_body_bytes = size_t{64} << 20, max_upload_bytes = size_t{512} << 20;
  // A reader for whom more than this waits when the next piece comes is cut off.
  size_t max_queued_bytes = size_t{16} << 20;
  std::chrono::seconds keep_alive{75};  // of a connection without a request
  std::chrono::seconds patience{60};    // with a peer that sends half a request, or reads nothing
};

// A request that waits for its answer: whole, or piece by piece. To be used on the server's thread
// alone. What is said after the end, or to a client that has left, goes nowhere.
class HttpExchange {
 public:
  HttpExchange() = default;
  HttpExchange(std::shared_ptr<HttpConnection> connection, uint64_t number);

  void respond(const HttpResponse& response) const;
  // Status 200 and the bytes of a file, as fast as the client reads them.
  void respond_file(std::shared_ptr<const InputFile> file, std::string_view content_type) const;
  // Status 200, and a body whose length nobody knows yet.
  void begin_stream(std::string_view content_type) const;
  void write(std::string_view bytes) const;
  void end() const;
  // Whether somebody waits for the rest of the answer.
  bool is_open() const;
  // Called once if the client leaves, or is cut off, before the end.
  void on_gone(std::function<void()> act) const;

 private:
  std::shared_ptr<HttpConnection> connection_;
  uint64_t number_ = 0;  // of the request on its connection
};

// A body that is not kept, but taken as it comes. None may throw.
struct HttpUpload {
  std::function<void(std::string_view bytes)> take;
  // It is whole: in the place of HttpHandlers::answer.
  std::function<void(const HttpExchange& exchange)> finish;
};

// What the server asks for. None may throw.
struct HttpHandlers {
  // Called when the head of a request is there and its body is not: the answer to one that is not
  // wanted, whatever its body.
  std::function<std::optional<HttpResponse>(const HttpRequest& head)> refuse;
  // Who takes the body of one that is wanted, if it is not to be kept. May be empty.
  std::function<std::optional<HttpUpload>(const HttpRequest& head)> upload = {};
  std::function<void(HttpRequest request, const HttpExchange& exchange)> answer;
  // The answer to what is no HTTP.
  std::function<HttpResponse(int status, std::string_view why)> describe_error;
  // Headers of every answer to such a request.
  std::function<HttpHeaders(const HttpRequest& head)> add_headers;
};

// What is to be done later, and is not once this is gone; the server outlives it.
using HttpTimer = std::shared_ptr<void>;

class HttpServer {
 public:
  // Takes its address; nobody is let in before listen(). Throws Error when it cannot be had, or the
  // certificate not be used.
  HttpServer(const HttpOptions& options, HttpHandlers handlers);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "http://127.0.0.1:8000", "https://...", "unix:/run/litelang.sock". With the host's own name
  // where all its addresses are listened to.
  std::string url() const;

  // Lets clients in, who wait until it runs. Throws Error when the address has been taken
  // meanwhile.
  void listen();
  // Serves until stop(), on the calling thread.
  void run();

  // By any thread.
  void post(std::function<void()> act);
  // Lets nobody in, ends what is idle at once, and the rest when its answer is out, `grace` from
  // now at the latest.
  void stop(std::chrono::milliseconds grace);

  // On the server's thread: calls `act` later, unless the server stops before.
  [[nodiscard]] HttpTimer after(std::chrono::milliseconds delay, std::function<void()> act);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace ll
