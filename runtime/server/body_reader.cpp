#include "runtime/server/body_reader.h"

#include <exception>
#include <utility>

#include "base/check.h"

namespace ll {
namespace {

// Longer ones take milliseconds.
constexpr size_t kLongBodyBytes = size_t{16} << 10;

// The same, which throws nothing: what goes wrong is answered.
std::function<Worker::Then()> guarded(const HttpExchange& exchange,
                                      std::function<Worker::Then()> act, Endpoint endpoint) {
  return [act = std::move(act), exchange, endpoint]() -> Worker::Then {
    Worker::Then then;
    try {
      then = act();
    } catch (...) {
      then = [error = std::current_exception()] { std::rethrow_exception(error); };
    }
    return [then = std::move(then), exchange, endpoint] {
      if (exchange.is_open()) guard(exchange, then, endpoint);
    };
  };
}

}  // namespace

void guard(const HttpExchange& exchange, const std::function<void()>& act, Endpoint endpoint) {
  try {
    act();
  } catch (const Error& e) {
    exchange.respond(error_response(bad_request(e.what(), endpoint)));
  } catch (const std::exception& e) {
    exchange.respond(
        error_response({.status = 500, .message = e.what(), .code = "internal_error"}));
  }
}

void work_on(Worker& worker, const HttpExchange& exchange, std::function<Worker::Then()> act,
             Endpoint endpoint) {
  worker.post(guarded(exchange, std::move(act), endpoint));
}

void respond_by(Worker& worker, const HttpExchange& exchange, std::function<HttpResponse()> make) {
  work_on(worker, exchange, [exchange, make = std::move(make)] {
    return [exchange, response = make()] { exchange.respond(response); };
  });
}

void read_body(Service& s, const HttpRequest& q, const HttpExchange& exchange,
               const BodyReader& read, Endpoint endpoint) {
  auto act = [body = q.body, read] { return read(body); };
  if (q.body.size() > kLongBodyBytes)
    work_on(s.reader, exchange, act, endpoint);
  else
    guarded(exchange, act, endpoint)()();
}

}  // namespace ll
