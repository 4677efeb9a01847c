#include "perf/serve_load/load.h"

#include <fmt/core.h>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "perf/serve_load/event_stream.h"
#include "perf/serve_load/load_stream.h"

namespace ll {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr auto kPatience = std::chrono::minutes(10);

// What connections by TLS have in common.
class Tls {
 public:
  explicit Tls(const LoadTarget& target) {
    if (!target.is_tls) return;
    context_.emplace(asio::ssl::context::tls_client);
    if (!target.checks_certificate) return;
    context_->set_default_verify_paths();
    context_->set_verify_mode(asio::ssl::verify_peer);
  }
  asio::ssl::context* context() { return context_ ? &*context_ : nullptr; }

 private:
  std::optional<asio::ssl::context> context_;
};

struct Connection {
  Connection(asio::io_context& io, Tls& tls) : stream(io, tls.context()) {}

  LoadStream stream;
  beast::flat_buffer buffer;
};

template <class Body>
http::request<Body> request_of(const LoadTarget& target, http::verb verb, const std::string& path) {
  http::request<Body> request(verb, path, 11);
  request.set(http::field::host, target.host + ":" + target.port);
  if (!target.api_key.empty()) request.set(http::field::authorization, "Bearer " + target.api_key);
  return request;
}

// The whole exchange may take kPatience from here, unless the time is set anew.
asio::awaitable<void> connect(Connection& to, const LoadTarget& target) {
  asio::ip::tcp::resolver resolver(to.stream.get_executor());
  auto addresses = co_await resolver.async_resolve(target.host, target.port, asio::use_awaitable);
  to.stream.tcp().expires_after(kPatience);
  co_await to.stream.tcp().async_connect(addresses, asio::use_awaitable);
  to.stream.tcp().socket().set_option(asio::ip::tcp::no_delay(true));
  co_await to.stream.greet(target.host);
}

asio::awaitable<void> fetch(Connection& from, const LoadTarget& target, const std::string& path,
                            http::response<http::string_body>& response) {
  co_await connect(from, target);
  auto request = request_of<http::empty_body>(target, http::verb::get, path);
  co_await http::async_write(from.stream, request, asio::use_awaitable);
  co_await http::async_read(from.stream, from.buffer, response, asio::use_awaitable);
}

// Not so the first of a chat, which names the role, and the last, which may say only why it ended.
bool brings_text(const Json& event) {
  auto choices = event.find("choices");
  if (choices == event.end() || !choices->is_array() || choices->empty()) return false;
  const Json& choice = choices->front();
  if (!choice.contains("delta")) return !choice.value("text", "").empty();
  for (const char* name : {"content", "reasoning_content"})
    if (auto found = choice["delta"].find(name); found != choice["delta"].end())
      if (found->is_string() && !found->get_ref<const std::string&>().empty()) return true;
  return false;
}

// What an event says, whose time is `now`.
void take_event(std::string_view data, double now, double& last, LoadAnswer& answer) {
  Json event = Json::parse(data);
  if (event.contains("error")) fail("{}", event["error"].value("message", "an error"));
  if (event.contains("usage") && event["usage"].is_object()) {
    answer.prompt_tokens = event["usage"].value("prompt_tokens", int64_t{0});
    answer.tokens = event["usage"].value("completion_tokens", answer.tokens);
  }
  if (!brings_text(event)) return;
  if (last < 0)
    answer.first_token = now;
  else
    answer.gaps.push_back(now - last);
  last = now;
}

class Load {
 public:
  Load(const LoadTarget& target, const std::vector<LoadRequest>& requests, const LoadLimits& limits)
      : target_(target),
        requests_(requests),
        limits_(limits),
        answers_(requests.size()),
        tls_(target) {}

  std::vector<LoadAnswer> run() {
    start_ = Clock::now();
    asio::co_spawn(io_, send_all(), asio::detached);
    io_.run();
    return std::move(answers_);
  }

 private:
  double now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  asio::awaitable<void> send_all() {
    asio::steady_timer timer(io_);
    for (size_t i = 0; i < requests_.size(); ++i) {
      timer.expires_at(start_ + std::chrono::duration_cast<Clock::duration>(
                                    std::chrono::duration<double>(requests_[i].start)));
      co_await timer.async_wait(asio::use_awaitable);
      while (num_open_ >= limits_.streams) {
        room_.expires_at(Clock::time_point::max());
        co_await room_.async_wait(asio::as_tuple(asio::use_awaitable));
      }
      if (now() > limits_.last_start) co_return;
      ++num_open_;
      asio::co_spawn(io_, send(requests_[i], answers_[i]), asio::detached);
    }
  }

  asio::awaitable<void> send(const LoadRequest& request, LoadAnswer& answer) {
    answer.was_sent = true;
    answer.start = now();
    try {
      co_await ask(request, answer);
    } catch (const std::exception& e) {
      answer.error = e.what();
      if (answer.error.empty()) answer.error = "failed";
    }
    answer.end = now();
    if (answer.first_token == 0) answer.first_token = answer.end;
    --num_open_;
    room_.cancel();
  }

  asio::awaitable<void> ask(const LoadRequest& request, LoadAnswer& answer) {
    Connection to(io_, tls_);
    co_await connect(to, target_);
    auto message = request_of<http::string_body>(target_, http::verb::post, target_.path);
    message.set(http::field::content_type, "application/json");
    message.body() = request.body;
    message.prepare_payload();
    co_await http::async_write(to.stream, message, asio::use_awaitable);
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    co_await http::async_read_header(to.stream, to.buffer, parser, asio::use_awaitable);
    co_await read_body(to, parser, request, answer);
  }

  asio::awaitable<void> read_body(Connection& from,
                                  http::response_parser<http::buffer_body>& parser,
                                  const LoadRequest& request, LoadAnswer& answer) {
    unsigned status = parser.get().result_int();
    EventStream events;
    std::string other;  // than a stream
    bool is_done = false;
    double last = -1;
    int64_t num_events = 0;
    std::vector<char> bytes(size_t{16} << 10);
    while (!parser.is_done()) {
      auto& body = parser.get().body();
      body.data = bytes.data(), body.size = bytes.size(), body.more = true;
      from.stream.tcp().expires_after(kPatience);
      auto [error, ignored] = co_await http::async_read_some(from.stream, from.buffer, parser,
                                                             asio::as_tuple(asio::use_awaitable));
      if (error && error != http::error::need_buffer) throw beast::system_error(error);
      std::string_view piece(bytes.data(), bytes.size() - body.size);
      if (status != 200) {
        other += piece;
        continue;
      }
      double time = now();
      events.push(piece, [&](std::string_view data) {
        ++num_events;
        if (data == "[DONE]")
          is_done = true;
        else
          take_event(data, time, last, answer);
      });
      answer.has_left = request.leave_after >= 0 && num_events > request.leave_after && !is_done;
      if (answer.has_left) co_return;
    }
    check(status == 200, "{}: {}", status, other);
    check(is_done, "the stream has no end");
  }

  const LoadTarget& target_;
  const std::vector<LoadRequest>& requests_;
  LoadLimits limits_;
  std::vector<LoadAnswer> answers_;
  Tls tls_;
  asio::io_context io_{1};
  Clock::time_point start_;
  int64_t num_open_ = 0;
  asio::steady_timer room_{io_};
};

}  // namespace

LoadTarget parse_target(const std::string& base_url, const std::string& endpoint) {
  constexpr std::string_view kPlain = "http://", kTls = "https://";
  bool is_tls = base_url.starts_with(kTls);
  check(is_tls || base_url.starts_with(kPlain),
        "--base-url {}: must begin with http:// or https://", base_url);
  std::string rest = base_url.substr((is_tls ? kTls : kPlain).size());
  size_t slash = std::min(rest.find('/'), rest.size());
  LoadTarget target{.host = rest.substr(0, slash),
                    .port = is_tls ? "443" : "80",
                    .path = rest.substr(slash),
                    .is_tls = is_tls};
  if (size_t colon = target.host.rfind(':'); colon != std::string::npos && rest.front() != '[') {
    target.port = target.host.substr(colon + 1);
    target.host.resize(colon);
  }
  check(!target.host.empty() && !target.port.empty(), "--base-url {}: must be http://HOST:PORT",
        base_url);
  while (target.path.ends_with('/')) target.path.pop_back();
  target.path += endpoint;
  return target;
}

std::vector<LoadAnswer> run_load(const LoadTarget& target, const std::vector<LoadRequest>& requests,
                                 const LoadLimits& limits) {
  return Load(target, requests, limits).run();
}

std::string get(const LoadTarget& target, const std::string& path) {
  asio::io_context io;
  Tls tls(target);
  Connection from(io, tls);
  http::response<http::string_body> response;
  std::string error;
  asio::co_spawn(io, fetch(from, target, path, response), [&](const std::exception_ptr& e) {
    try {
      if (e) std::rethrow_exception(e);
    } catch (const boost::system::system_error& why) {
      error = why.code().message();
    }
  });
  io.run();
  check(error.empty(), "{}{}: {}", target.origin(), path, error);
  check(response.result_int() == 200, "{}: {} {}", path, response.result_int(), response.body());
  return response.body();
}

}  // namespace ll
