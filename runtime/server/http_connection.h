#pragma once
// A connection of an HttpServer, for http_server.cpp and http_connection.cpp alone: the types of
// Boost.Asio show.
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <unordered_set>
#include <vector>

#include "runtime/server/http_server.h"
#include "runtime/server/http_stream.h"

namespace ll {

struct HttpServer::State {
  State(const HttpOptions& options, HttpHandlers handlers);
  void listen();
  void open_certificate();
  [[noreturn]] void refuse_address(const boost::system::error_code& error) const;
  template <class Acceptor>
  void accept(Acceptor& acceptor);
  void close_listeners();
  void remove_socket() const;

  void look_for_end();

  HttpOptions options;
  HttpHandlers handlers;
  std::unordered_set<HttpConnection*> connections;
  boost::asio::io_context io{1};
  std::optional<boost::asio::ssl::context> tls;

  boost::asio::ip::tcp::acceptor tcp{io};
  boost::asio::local::stream_protocol::acceptor local{io};
  boost::asio::steady_timer retry{io}, end{io};
  bool is_stopping = false;
};

// A connection and the request that is on it. A request is read whole, answered, and only then is
// the next one read; what comes meanwhile is kept. Reading goes on all the same, to see a client
// leave.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Socket = HttpStream::Socket;

  HttpConnection(Socket socket, HttpServer::State& server);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void begin();
  void read_head();

  bool is_open(uint64_t number) const { return is_open_ && number_ == number; }
  void respond(const HttpResponse& response);
  void respond_file(std::shared_ptr<const InputFile> file, std::string_view content_type);
  void begin_stream(std::string_view content_type);
  void write(std::string_view bytes);
  void end();
  void on_gone(std::function<void()> act) { on_gone_ = std::move(act); }

  // The server stops.
  void retire();
  void close();

 private:
  using ErrorCode = boost::system::error_code;
  struct Parser;

  void on_head(const ErrorCode& error);
  void take_head();
  bool is_too_large(uint64_t size);
  void read_body();
  void on_request();
  void refuse(const HttpResponse& response);
  void fail(const ErrorCode& error);

  std::string head_of(int status, std::string_view content_type, const HttpHeaders& more) const;
  void send(std::string bytes);
  void send_piece();
  void flush();
  void on_written(const ErrorCode& error, size_t size);
  void finish();

  void watch();
  void on_watched(const ErrorCode& error, size_t size);
  void leave();

  void set_deadline(std::chrono::steady_clock::duration patience);
  void drain();
  void discard();

  HttpStream stream_;
  HttpServer::State& server_;
  boost::asio::steady_timer deadline_;
  boost::beast::flat_buffer buffer_;
  std::unique_ptr<Parser> parser_;
  HttpRequest request_;
  std::optional<HttpResponse> refusal_;
  std::optional<HttpUpload> upload_;
  size_t max_body_bytes_ = 0;
  uint64_t number_ = 0;
  std::function<void()> on_gone_;
  std::vector<std::string> queue_, writing_;
  size_t num_queued_ = 0;                  // bytes in both
  std::shared_ptr<const InputFile> file_;  // that is being sent
  uint64_t file_at_ = 0;                   // its bytes that are
  bool is_open_ = false;                   // a request waits for the rest of its answer
  bool is_head_ = false, keeps_alive_ = false, is_chunked_ = false, is_1_1_ = true;
  bool is_reading_ = false, is_watching_ = false, is_writing_ = false;
  bool wants_next_ = false, is_draining_ = false, is_cut_off_ = false, is_closed_ = false;
};

}  // namespace ll
