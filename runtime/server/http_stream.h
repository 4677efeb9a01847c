#pragma once
// A socket with or without TLS, for http_connection.h alone: an asynchronous stream as Boost.Asio
// and Beast want them.
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <optional>
#include <utility>

namespace ll {

class HttpStream {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using executor_type = Socket::executor_type;

  // `tls` outlives this; null: there is none.
  HttpStream(Socket socket, boost::asio::ssl::context* tls) : socket_(std::move(socket)) {
    if (tls) tls_.emplace(socket_, *tls);
  }

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return tls_ ? tls_->async_read_some(buffers, std::forward<Handler>(handler))
                : socket_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return tls_ ? tls_->async_write_some(buffers, std::forward<Handler>(handler))
                : socket_.async_write_some(buffers, std::forward<Handler>(handler));
  }

  // Before the first byte; on_done(error code).
  template <class OnDone>
  void greet(OnDone on_done) {
    if (!tls_) return on_done(boost::system::error_code());
    tls_->async_handshake(boost::asio::ssl::stream_base::server, std::move(on_done));
  }
  // Says that there is no more; on_done().
  template <class OnDone>
  void end_writing(OnDone on_done) {
    auto shut = [this, on_done = std::move(on_done)](const boost::system::error_code&) {
      boost::system::error_code ignored;
      socket_.shutdown(Socket::shutdown_send, ignored);
      on_done();
    };
    if (!tls_) return shut({});
    tls_->async_shutdown(std::move(shut));
  }

 private:
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
};

}  // namespace ll
