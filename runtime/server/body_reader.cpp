#include "runtime/server/body_reader.h"

#include <exception>

#include "base/check.h"

namespace ll {
namespace {

// Longer ones take milliseconds.
constexpr size_t kLongBodyBytes = size_t{16} << 10;

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

void read_body(Service& s, const HttpRequest& q, const HttpExchange& exchange,
               const BodyReader& read, Endpoint endpoint) {
  auto work = [body = q.body, read, exchange, endpoint]() -> Worker::Then {
    std::function<void()> act;
    try {
      act = read(body);
    } catch (...) {
      act = [error = std::current_exception()] { std::rethrow_exception(error); };
    }
    return [act = std::move(act), exchange, endpoint] {
      if (exchange.is_open()) guard(exchange, act, endpoint);
    };
  };
  if (q.body.size() > kLongBodyBytes)
    s.reader.post(std::move(work));
  else
    work()();
}

}  // namespace ll
