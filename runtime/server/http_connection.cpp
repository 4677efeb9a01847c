#include "runtime/server/http_connection.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/verb.hpp>
#include <span>

#include "base/ascii.h"
#include "base/check.h"
#include "runtime/server/http_body.h"
#include "runtime/server/http_head.h"

namespace ll {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Socket = HttpConnection::Socket;

constexpr uint32_t kMaxHeadBytes = 64 << 10;
// What a client may send behind a request that is not answered yet.
constexpr size_t kMaxPipelinedBytes = 64 << 10;
// Bodies up to this size are read before their request is refused, so that the connection lives on.
constexpr uint64_t kSmallBodyBytes = 64 << 10;
constexpr auto kLinger = std::chrono::seconds(1);

bool is_http_error(const error_code& error) {
  return error.category() == make_error_code(http::error::bad_method).category();
}

int status_of(const error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

}  // namespace

struct HttpConnection::Parser : http::request_parser<HttpBody> {};

HttpConnection::HttpConnection(Socket socket, HttpServer::State& server)
    : stream_(std::move(socket), server.tls ? &*server.tls : nullptr),
      server_(server),
      deadline_(server.io) {
  server_.connections.insert(this);
}

HttpConnection::~HttpConnection() { server_.connections.erase(this); }

void HttpConnection::set_deadline(Clock::duration patience) {
  deadline_.expires_after(patience);
  deadline_.async_wait([weak = weak_from_this()](const error_code& error) {
    auto self = weak.lock();
    if (error || !self || self->deadline_.expiry() > Clock::now()) return;
    self->leave();
    self->close();
  });
}

void HttpConnection::begin() {
  set_deadline(server_.options.patience);
  stream_.greet([self = shared_from_this()](const error_code& error) {
    if (self->is_closed_) return;
    error ? self->close() : self->read_head();
  });
}

void HttpConnection::read_head() {
  if (server_.is_stopping) return close();
  parser_ = std::make_unique<Parser>();
  parser_->header_limit(kMaxHeadBytes);
  parser_->body_limit(boost::none);  // until its head is there
  is_1_1_ = true, keeps_alive_ = false, is_head_ = false;
  request_ = {};
  upload_.reset();
  is_reading_ = true;
  set_deadline(buffer_.size() > 0 ? server_.options.patience : server_.options.keep_alive);
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](const error_code& error, size_t) { self->on_head(error); });
}

void HttpConnection::on_head(const error_code& error) {
  if (is_closed_) return;
  if (error) return fail(error);
  take_head();
  auto& message = parser_->get();
  bool has_other_encoding =
      message.find(http::field::transfer_encoding) != message.end() && !parser_->chunked();
  if (has_other_encoding)
    return refuse(
        server_.handlers.describe_error(501, "only the transfer encoding chunked is known"));
  refusal_ = server_.handlers.refuse(request_);
  bool expects = beast::iequals(message[http::field::expect], "100-continue");
  uint64_t size = parser_->content_length().value_or(parser_->chunked() ? UINT64_MAX : 0);
  if (refusal_ && (size > kSmallBodyBytes || expects)) return refuse(*refusal_);
  if (is_too_large(parser_->content_length().value_or(0))) return fail(http::error::body_limit);
  if (expects && is_1_1_) send("HTTP/1.1 100 Continue\r\n\r\n");
  read_body();
}

// Decides who takes a body, and how large it may be.
bool HttpConnection::is_too_large(uint64_t size) {
  if (!refusal_ && server_.handlers.upload) upload_ = server_.handlers.upload(request_);
  const HttpOptions& o = server_.options;
  max_body_bytes_ = upload_ ? o.max_upload_bytes : o.max_body_bytes;
  parser_->body_limit(max_body_bytes_);
  if (upload_)
    parser_->get().body().take = [this](std::string_view bytes) {
      set_deadline(server_.options.patience);
      upload_->take(bytes);
    };
  return size > max_body_bytes_;
}

void HttpConnection::take_head() {
  auto& message = parser_->get();
  is_1_1_ = message.version() >= 11;
  keeps_alive_ = message.keep_alive();
  is_head_ = message.method() == http::verb::head;
  request_.method = is_head_ ? "GET" : std::string(message.method_string());
  std::string_view target(message.target().data(), message.target().size());
  request_.path = target.substr(0, target.find('?'));
  request_.query = target.substr(std::min(target.size(), request_.path.size() + 1));
  for (const auto& field : message)
    request_.headers.emplace_back(
        ascii_lower({field.name_string().data(), field.name_string().size()}),
        std::string(field.value()));
}

void HttpConnection::read_body() {
  if (parser_->is_done()) return on_request();
  // Beast reads as much at a time as fits in.
  constexpr size_t kPiece = 64 << 10;
  if (parser_->content_length_remaining().value_or(kPiece) >= kPiece) buffer_.reserve(kPiece);
  set_deadline(server_.options.patience);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](const error_code& error, size_t) {
                     if (self->is_closed_) return;
                     if (error) return self->fail(error);
                     self->on_request();
                   });
}

void HttpConnection::on_request() {
  deadline_.cancel();
  is_reading_ = false;
  std::string body = std::move(parser_->get().body().text);
  parser_.reset();
  ++number_;
  is_open_ = true;
  if (refusal_) return respond(*refusal_);
  HttpExchange exchange(shared_from_this(), number_);
  if (auto upload = std::exchange(upload_, std::nullopt)) {
    upload->finish(exchange);
  } else {
    HttpRequest request = request_;  // whose headers the head of the answer depends on
    request.body = std::move(body);
    server_.handlers.answer(std::move(request), exchange);
  }
  if (is_open_) watch();
}

// What could not be read: nothing behind it can be understood either.
void HttpConnection::fail(const error_code& error) {
  bool is_over = !is_http_error(error) || error == http::error::end_of_stream ||
                 error == http::error::partial_message;
  if (is_over) return close();
  refuse(server_.handlers.describe_error(
      status_of(error),
      error == http::error::body_limit
          ? fmt::format("the body is larger than {} bytes ({})", max_body_bytes_,
                        upload_ ? "server.max_file_bytes" : "server.max_body_bytes")
          : error.message()));
}

// An answer before the end of the request, and the last one.
void HttpConnection::refuse(const HttpResponse& response) {
  is_reading_ = false;
  keeps_alive_ = false;
  is_open_ = true;
  ++number_;
  respond(response);
}

std::string HttpConnection::head_of(int status, std::string_view content_type,
                                    const HttpHeaders& more) const {
  HttpHeaders headers;
  if (!content_type.empty()) headers.emplace_back("Content-Type", content_type);
  headers.insert(headers.end(), more.begin(), more.end());
  for (auto& header : server_.handlers.add_headers(request_)) headers.push_back(std::move(header));
  if (!keeps_alive_)
    headers.emplace_back("Connection", "close");
  else if (!is_1_1_)
    headers.emplace_back("Connection", "keep-alive");
  return response_head(status, headers);
}

void HttpConnection::respond(const HttpResponse& response) {
  keeps_alive_ = keeps_alive_ && !server_.is_stopping;
  bool has_body = response.status != 204;
  std::string bytes =
      head_of(response.status, has_body ? response.content_type : "", response.headers);
  if (has_body) bytes += fmt::format("Content-Length: {}\r\n", response.body.size());
  bytes += "\r\n";
  if (has_body && !is_head_) bytes += response.body;
  is_open_ = false;
  on_gone_ = nullptr;
  send(std::move(bytes));
}

void HttpConnection::respond_file(std::shared_ptr<const InputFile> file,
                                  std::string_view content_type) {
  keeps_alive_ = keeps_alive_ && !server_.is_stopping;
  std::string bytes = head_of(200, content_type, {});
  bytes += fmt::format("Content-Length: {}\r\n\r\n", file->size());
  if (!is_head_ && file->size() > 0) file_ = std::move(file), file_at_ = 0;
  is_open_ = file_ != nullptr;
  send(std::move(bytes));
}

// The next part of a file.
void HttpConnection::send_piece() try {
  constexpr uint64_t kPiece = 256 << 10;
  std::string piece(std::min(kPiece, file_->size() - file_at_), '\0');
  file_->read(file_at_, std::as_writable_bytes(std::span(piece)));
  file_at_ += piece.size();
  if (file_at_ == file_->size()) {
    file_.reset();
    is_open_ = false;
    on_gone_ = nullptr;
  }
  send(std::move(piece));
} catch (const Error&) {
  leave();
  close();
}

void HttpConnection::begin_stream(std::string_view content_type) {
  is_chunked_ = is_1_1_;
  if (!is_1_1_ || server_.is_stopping) keeps_alive_ = false;
  std::string bytes = head_of(200, content_type, {{"Cache-Control", "no-cache"}});
  bytes += is_chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
  send(std::move(bytes));
}

void HttpConnection::write(std::string_view bytes) {
  if (bytes.empty() || is_cut_off_) return;
  if (num_queued_ > server_.options.max_queued_bytes) {
    // Later: whoever writes is not to be told in the middle of it.
    is_cut_off_ = true;
    return asio::post(stream_.get_executor(), [self = shared_from_this()] {
      self->leave();
      self->close();
    });
  }
  if (!is_chunked_) return send(std::string(bytes));
  std::string chunk = fmt::format("{:x}\r\n", bytes.size());
  send(chunk.append(bytes).append("\r\n"));
}

void HttpConnection::end() {
  is_open_ = false;
  on_gone_ = nullptr;
  if (is_chunked_) return send("0\r\n\r\n");
  if (!is_writing_) finish();
}

void HttpConnection::send(std::string bytes) {
  num_queued_ += bytes.size();
  queue_.push_back(std::move(bytes));
  flush();
}

void HttpConnection::flush() {
  if (is_writing_ || queue_.empty() || is_closed_) return;
  is_writing_ = true;
  writing_ = std::move(queue_);
  queue_.clear();
  std::vector<asio::const_buffer> buffers;
  for (const std::string& bytes : writing_) buffers.push_back(asio::buffer(bytes));
  // Patience is for a peer that takes nothing, however slow one is that takes some.
  auto go_on = [this](const error_code& error, size_t) -> size_t {
    constexpr size_t kPiece = 64 << 10;
    if (!error && !is_closed_ && !is_reading_) set_deadline(server_.options.patience);
    return error ? 0 : kPiece;
  };
  asio::async_write(stream_, buffers, go_on,
                    [self = shared_from_this()](const error_code& error, size_t size) {
                      self->on_written(error, size);
                    });
}

void HttpConnection::on_written(const error_code& error, size_t size) {
  is_writing_ = false;
  writing_.clear();
  num_queued_ -= std::min(size, num_queued_);
  if (is_closed_) return;
  if (error) {
    leave();
    return close();
  }
  if (!is_reading_) deadline_.cancel();
  if (file_ && queue_.empty()) return send_piece();
  if (!queue_.empty()) return flush();
  if (!is_open_ && !is_reading_) finish();
}

// The answer is out.
void HttpConnection::finish() {
  if (is_closed_ || is_draining_ || wants_next_) return;
  if (!keeps_alive_) return drain();
  if (!is_watching_) return read_head();
  wants_next_ = true;
  error_code ignored;
  stream_.socket().cancel(ignored);
}

void HttpConnection::watch() {
  if (is_watching_ || is_closed_ || buffer_.size() >= kMaxPipelinedBytes) return;
  constexpr size_t kPiece = 4096;
  is_watching_ = true;
  stream_.async_read_some(buffer_.prepare(kPiece),
                          [self = shared_from_this()](const error_code& error, size_t size) {
                            self->on_watched(error, size);
                          });
}

void HttpConnection::on_watched(const error_code& error, size_t size) {
  is_watching_ = false;
  if (is_closed_) return;
  bool has_left = error && error != asio::error::operation_aborted;
  if (is_draining_) return has_left ? close() : discard();
  if (!error) buffer_.commit(size);
  if (wants_next_) {
    wants_next_ = false;
    return has_left ? close() : read_head();
  }
  if (!has_left) return is_open_ ? watch() : void();
  // Half a connection is enough for an answer that is already on its way.
  keeps_alive_ = false;
  if (!is_open_) return;
  leave();
  close();
}

// The client of an open request is gone.
void HttpConnection::leave() {
  if (!is_open_) return;
  is_open_ = false;
  if (auto act = std::exchange(on_gone_, nullptr)) act();
}

// Ends the connection once the client has read what was sent: closing with bytes unread would take
// the answer from it.
void HttpConnection::drain() {
  is_draining_ = true;
  set_deadline(kLinger);
  stream_.end_writing([self = shared_from_this()] { self->discard(); });
}

void HttpConnection::discard() {
  if (is_watching_ || is_closed_) return;
  buffer_.clear();
  stream_.socket().async_read_some(buffer_.prepare(size_t{64} << 10),
                                   [self = shared_from_this()](const error_code& error, size_t) {
                                     error ? self->close() : self->discard();
                                   });
}

void HttpConnection::retire() {
  keeps_alive_ = false;
  if (!is_open_ && !is_writing_) close();
}

void HttpConnection::close() {
  if (is_closed_) return;
  is_closed_ = true;
  error_code ignored;
  stream_.socket().close(ignored);
  deadline_.cancel();
}

}  // namespace ll
