#include "runtime/server/http_server.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/check.h"
#include "tests/support/http_client.h"

using namespace ll;
using namespace ll::test;

namespace {

// Answers "/echo" with method, path and body, streams three pieces from "/stream", megabytes from
// "/flood", and holds "/wait" open for ever.
class EchoServer {
 public:
  explicit EchoServer(HttpOptions options = {})
      : server_(with_any_port(options),
                {.refuse = [](const HttpRequest& head) { return refuse(head); },
                 .answer = [this](const HttpRequest& q, const HttpExchange& x) { answer(q, x); },
                 .describe_error =
                     [](int status, std::string_view why) {
                       return HttpResponse{.status = status, .body = std::string(why)};
                     },
                 .add_headers =
                     [](const HttpRequest&) {
                       return HttpHeaders{{"X-More", "yes"}};
                     }}),
        thread_((server_.listen(), [this] { server_.run(); })) {}
  ~EchoServer() {
    server_.stop(std::chrono::milliseconds(500));
    thread_.join();
  }
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

  int port() const {
    std::string url = server_.url();
    return std::stoi(url.substr(url.rfind(':') + 1));
  }
  HttpServer& server() { return server_; }
  int num_gone() const { return num_gone_; }
  bool waits_for_gone(int count) const {
    for (int i = 0; i < 1000 && num_gone_ < count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return num_gone_ == count;
  }

 private:
  static HttpOptions with_any_port(HttpOptions options) {
    options.port = 0;
    return options;
  }
  static std::optional<HttpResponse> refuse(const HttpRequest& head) {
    if (head.path != "/refused") return std::nullopt;
    return HttpResponse{.status = 404, .body = "refused"};
  }
  void answer(const HttpRequest& q, const HttpExchange& x) {
    x.on_gone([this] { ++num_gone_; });
    if (q.path == "/echo") return x.respond({.body = q.method + " " + q.path + " " + q.body});
    if (q.path == "/wait") return;
    x.begin_stream("text/plain");
    if (q.path == "/flood") return flood(x, 0);
    for (const char* piece : {"one ", "two ", "three"}) x.write(piece);
    x.end();
  }
  void flood(const HttpExchange& x, int count) {
    x.write(std::string(size_t{1} << 20, 'x'));
    if (count == 64) return x.end();
    timer_ = server_.after(std::chrono::milliseconds(1), [this, x, count] { flood(x, count + 1); });
  }

  std::atomic<int> num_gone_ = 0;
  HttpServer server_;
  HttpTimer timer_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("a connection serves one request after another") {
  EchoServer server;
  HttpClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    HttpReply reply = client.ask("POST", "/echo?x=1", "body");
    CHECK(reply.status == 200);
    CHECK(reply.body == "POST /echo body");
    CHECK(reply.headers["x-more"] == "yes");
    CHECK(reply.headers["content-type"] == "application/json");
    CHECK(client.ask("POST", "/stream", "x").body == "one two three");
    CHECK(client.ask("POST", "/refused", "x").body == "refused");
  }
  CHECK(server.num_gone() == 0);
}

TEST_CASE("requests that came together are answered in order") {
  EchoServer server;
  HttpClient client(server.port());
  client.send(http_request("GET", "/echo") + http_request("POST", "/stream", "x") +
              http_request("HEAD", "/echo") + http_request("POST", "/echo", "last"));
  CHECK(client.read_reply().body == "GET /echo ");
  CHECK(client.read_reply().body == "one two three");
  HttpReply head = client.read_reply(/*has_body=*/false);
  CHECK(head.headers["content-length"] == "10");
  CHECK(client.read_reply().body == "POST /echo last");
}

TEST_CASE("bodies in chunks, after 100 Continue, and byte by byte") {
  EchoServer server;
  HttpClient client(server.port());
  client.send(
      "POST /echo HTTP/1.1\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  CHECK(client.read_reply().body == "POST /echo abcde");
  client.send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(client.read_reply(/*has_body=*/false).status == 100);
  client.send("hi");
  CHECK(client.read_reply().body == "POST /echo hi");
  for (char c : http_request("POST", "/echo", "slow")) client.send({&c, 1});
  CHECK(client.read_reply().body == "POST /echo slow");
}

TEST_CASE("a connection is closed when it is to be") {
  EchoServer server;
  HttpClient asked(server.port());
  asked.send(http_request("GET", "/echo", "", "Connection: close\r\n"));
  CHECK(asked.read_reply().headers["connection"] == "close");
  CHECK(asked.is_at_end());
  HttpClient old(server.port());
  old.send("GET /stream HTTP/1.0\r\n\r\n");
  HttpReply reply = old.read_reply();
  CHECK(reply.body == "one two three");
  CHECK_FALSE(reply.headers.contains("transfer-encoding"));
}

TEST_CASE("what is no request, or too large, gets its status and the end") {
  EchoServer server({.max_body_bytes = 1000});
  struct Case {
    std::string bytes;
    int status;
  };
  for (const Case& c :
       {Case{"nonsense\r\n\r\n", 400}, Case{"GET / HTTP/3.0\r\n\r\n", 505},
        Case{"POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413},
        Case{"POST /echo HTTP/1.1\r\nContent-Length: 9999999999999\r\n\r\n", 413},
        Case{"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n", 413},
        Case{"GET /echo HTTP/1.1\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n", 431},
        Case{"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
        Case{"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: "
             "chunked\r\n\r\n0\r\n\r\n",
             400},
        Case{"POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 501},
        Case{"POST /refused HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", 404}}) {
    CAPTURE(c.bytes.substr(0, 60));
    HttpClient client(server.port());
    client.send(c.bytes);
    CHECK(client.read_reply().status == c.status);
    CHECK(client.is_at_end());
  }
}

TEST_CASE("a client that leaves is noticed, one that sends the next request is not taken for it") {
  EchoServer server;
  {
    HttpClient client(server.port());
    client.send(http_request("POST", "/wait", "x"));
    client.send(http_request("POST", "/echo", "x"));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(server.num_gone() == 0);
  }
  CHECK(server.waits_for_gone(1));
}

TEST_CASE("a reader that does not read is cut off, and nobody waits for it") {
  EchoServer server({.max_queued_bytes = size_t{4} << 20});
  HttpClient slow(server.port(), 4096), other(server.port());
  slow.send(http_request("POST", "/flood", "x"));
  CHECK(other.ask("POST", "/echo", "x").status == 200);
  CHECK(server.waits_for_gone(1));
  CHECK(other.ask("POST", "/echo", "x").status == 200);
}

TEST_CASE("who reads gets all, however much it is") {
  EchoServer server({.max_queued_bytes = size_t{128} << 20});
  HttpClient client(server.port());
  CHECK(client.ask("POST", "/flood", "x").body.size() == 65 * (size_t{1} << 20));
}

TEST_CASE("stopping ends idle connections and those with nothing to wait for") {
  EchoServer server;
  HttpClient idle(server.port()), busy(server.port());
  busy.send(http_request("POST", "/wait", "x"));
  CHECK(idle.ask("GET", "/echo").status == 200);
  server.server().stop(std::chrono::milliseconds(100));
  CHECK(idle.is_at_end());
  CHECK(busy.is_at_end());
}

TEST_CASE("an address that is taken is said") {
  EchoServer server;
  try {
    HttpServer second({.port = server.port()}, {});
    FAIL("two servers on one port");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("choose another address") != std::string::npos);
  }
}

TEST_CASE("a timer that is dropped does nothing, even when its time has come") {
  EchoServer server;
  std::atomic<int> num_done = 0, num_kept = 0;
  std::promise<void> is_over;
  HttpTimer kept, last;
  server.server().post([&] {
    auto ms = [](int count) { return std::chrono::milliseconds(count); };
    kept = server.server().after(ms(20), [&] { ++num_kept; });
    HttpTimer late = server.server().after(ms(1), [&] { ++num_done; });
    HttpTimer early = server.server().after(ms(0), [&] { ++num_done; });
    std::this_thread::sleep_for(ms(10));
    last = server.server().after(ms(40), [&] { is_over.set_value(); });
  });
  REQUIRE(is_over.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  CHECK(num_done == 0);
  CHECK(num_kept == 1);
}
