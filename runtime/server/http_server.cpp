#include "runtime/server/http_server.h"

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "runtime/server/http_connection.h"

namespace ll {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// More connections than the usual 1,024 descriptors.
void raise_descriptor_limit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

HttpExchange::HttpExchange(std::shared_ptr<HttpConnection> connection, uint64_t number)
    : connection_(std::move(connection)), number_(number) {}

void HttpExchange::respond(const HttpResponse& response) const {
  if (connection_->is_open(number_)) connection_->respond(response);
}
void HttpExchange::respond_file(std::shared_ptr<const InputFile> file,
                                std::string_view content_type) const {
  if (connection_->is_open(number_)) connection_->respond_file(std::move(file), content_type);
}
void HttpExchange::begin_stream(std::string_view content_type) const {
  if (connection_->is_open(number_)) connection_->begin_stream(content_type);
}
void HttpExchange::write(std::string_view bytes) const {
  if (connection_->is_open(number_)) connection_->write(bytes);
}
void HttpExchange::end() const {
  if (connection_->is_open(number_)) connection_->end();
}
bool HttpExchange::is_open() const { return connection_->is_open(number_); }
void HttpExchange::on_gone(std::function<void()> act) const {
  if (connection_->is_open(number_)) connection_->on_gone(std::move(act));
}

HttpServer::State::State(const HttpOptions& o, HttpHandlers h)
    : options(o), handlers(std::move(h)) {
  raise_descriptor_limit();
  if (!options.tls_cert.empty()) open_certificate();
  try {
    if (!options.unix_socket.empty()) {
      local.open();
      local.bind(options.unix_socket);
      return;
    }
    auto addresses = asio::ip::tcp::resolver(io).resolve(options.host, std::to_string(options.port),
                                                         asio::ip::tcp::resolver::passive);
    asio::ip::tcp::endpoint address = *addresses.begin();
    tcp.open(address.protocol());
    tcp.set_option(asio::socket_base::reuse_address(true));
    tcp.bind(address);
  } catch (const boost::system::system_error& e) {
    refuse_address(e.code());
  }
}

void HttpServer::State::open_certificate() {
  tls.emplace(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  // A key that is locked is none: there is nobody to ask for the word.
  tls->set_password_callback([](auto...) { return std::string(); });
  auto use = [&](const char* name, const std::string& path, auto act) {
    error_code error;
    act(error);
    check(!error, "server.{} = {}: cannot be used: {}", name, path, error.message());
  };
  use("tls_cert", options.tls_cert,
      [&](error_code& e) { tls->use_certificate_chain_file(options.tls_cert, e); });
  use("tls_key", options.tls_key, [&](error_code& e) {
    tls->use_private_key_file(options.tls_key, asio::ssl::context::pem, e);
  });
}

void HttpServer::State::refuse_address(const error_code& error) const {
  if (!options.unix_socket.empty())
    fail("server.unix_socket = {}: cannot listen: {}; remove it or choose another path",
         options.unix_socket, error.message());
  fail(
      "server.host = {}, server.port = {}: cannot listen: {}; choose another address, or port 0 "
      "for any",
      options.host, options.port, error.message());
}

void HttpServer::State::listen() {
  if (tcp.is_open()) {
    tcp.listen();
    accept(tcp);
  } else {
    local.listen();
    accept(local);
  }
}

template <class Acceptor>
void HttpServer::State::accept(Acceptor& acceptor) {
  acceptor.async_accept([this, &acceptor](const error_code& error, auto socket) {
    if (is_stopping) return;
    if (error) {  // no descriptors are left: until some are
      retry.expires_after(std::chrono::milliseconds(50));
      return retry.async_wait([this, &acceptor](const error_code& e) {
        if (!e) accept(acceptor);
      });
    }
    error_code ignored;
    if constexpr (std::is_same_v<Acceptor, asio::ip::tcp::acceptor>)
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    std::make_shared<HttpConnection>(HttpConnection::Socket(std::move(socket)), *this)->begin();
    accept(acceptor);
  });
}

void HttpServer::State::remove_socket() const {
  if (local.is_open()) ::unlink(options.unix_socket.c_str());
}

void HttpServer::State::close_listeners() {
  error_code ignored;
  tcp.close(ignored);
  remove_socket();
  local.close(ignored);
  retry.cancel();
}

// Ends at once when nothing is left to wait for.
void HttpServer::State::look_for_end() {
  if (connections.empty()) return io.stop();
  retry.expires_after(std::chrono::milliseconds(5));
  retry.async_wait([this](const error_code&) { look_for_end(); });
}

HttpServer::HttpServer(const HttpOptions& options, HttpHandlers handlers)
    : state_(std::make_unique<State>(options, std::move(handlers))) {}

HttpServer::~HttpServer() { state_->remove_socket(); }

std::string HttpServer::url() const {
  if (state_->local.is_open()) return "unix:" + state_->options.unix_socket;
  auto address = state_->tcp.local_endpoint();
  std::string host = address.address().to_string();
  if (address.address().is_unspecified()) host = asio::ip::host_name();
  bool is_v6 = host.find(':') != std::string::npos;
  return fmt::format("http{}://{}{}{}:{}", state_->tls ? "s" : "", is_v6 ? "[" : "", host,
                     is_v6 ? "]" : "", address.port());
}

void HttpServer::listen() {
  try {
    state_->listen();
  } catch (const boost::system::system_error& e) {
    state_->refuse_address(e.code());
  }
}

void HttpServer::run() { state_->io.run(); }

void HttpServer::post(std::function<void()> act) { asio::post(state_->io, std::move(act)); }

void HttpServer::stop(std::chrono::milliseconds grace) {
  post([s = state_.get(), grace] {
    if (s->is_stopping) return;
    s->is_stopping = true;
    s->close_listeners();
    std::vector<std::shared_ptr<HttpConnection>> all;
    for (HttpConnection* c : s->connections) all.push_back(c->shared_from_this());
    for (const auto& c : all) c->retire();
    s->end.expires_after(grace);
    s->end.async_wait([s](const error_code&) { s->io.stop(); });
    all.clear();
    s->look_for_end();
  });
}

HttpTimer HttpServer::after(std::chrono::milliseconds delay, std::function<void()> act) {
  struct Timer {
    asio::steady_timer clock;
    std::function<void()> act;
  };
  if (state_->is_stopping) return nullptr;
  auto timer = std::make_shared<Timer>(asio::steady_timer(state_->io, delay), std::move(act));
  timer->clock.async_wait([s = state_.get(), weak = std::weak_ptr(timer)](const error_code&) {
    // It may have been dropped when its time had come already.
    auto self = weak.lock();
    if (self && !s->is_stopping) self->act();
  });
  return timer;
}

}  // namespace ll
