#pragma once
// A TCP connection with or without TLS, as Boost.Asio and Beast want a stream.
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <optional>
#include <string>
#include <utility>

namespace ll {

class LoadStream {
 public:
  using executor_type = boost::beast::tcp_stream::executor_type;

  // `tls` outlives this; null: there is none.
  LoadStream(boost::asio::io_context& io, boost::asio::ssl::context* tls) : tcp_(io) {
    if (tls) tls_.emplace(tcp_, *tls);
  }

  executor_type get_executor() { return tcp_.get_executor(); }
  boost::beast::tcp_stream& tcp() { return tcp_; }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return tls_ ? tls_->async_read_some(buffers, std::forward<Handler>(handler))
                : tcp_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return tls_ ? tls_->async_write_some(buffers, std::forward<Handler>(handler))
                : tcp_.async_write_some(buffers, std::forward<Handler>(handler));
  }

  // Before the first byte; `host` is who the other side must be.
  boost::asio::awaitable<void> greet(const std::string& host) {
    if (!tls_) co_return;
    SSL_set_tlsext_host_name(tls_->native_handle(), host.c_str());
    if (SSL_get_verify_mode(tls_->native_handle()) != SSL_VERIFY_NONE)
      tls_->set_verify_callback(boost::asio::ssl::host_name_verification(host));
    co_await tls_->async_handshake(boost::asio::ssl::stream_base::client,
                                   boost::asio::use_awaitable);
  }

 private:
  boost::beast::tcp_stream tcp_;
  std::optional<boost::asio::ssl::stream<boost::beast::tcp_stream&>> tls_;
};

}  // namespace ll
