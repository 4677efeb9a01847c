#include "runtime/server/ready_probe.h"

#include <utility>

namespace ll {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

}  // namespace

HttpResponse ready_response() { return {.body = R"({"status":"ready"})"}; }

void ReadyProbe::ask(const HttpExchange& exchange) {
  waiting_.push_back(exchange);
  if (waiting_.size() > 1) return;
  CompletionRequest probe;
  probe.prompts = {{0}};
  probe.params.max_tokens = 1;
  int64_t key = open_.open(std::move(probe),
                           {.on_answer = [this](const Answer&) { answer(ready_response()); },
                            .on_error = [this](const ApiError& e) { answer(error_response(e)); }},
                           OpenRequests::Kind::kProbe);
  open_.hold(key, http_.after(kPatience, [this, key] {
    open_.fail(key,
               {.status = 503, .message = "no forward pass within 10 s", .code = "unavailable"});
  }));
}

void ReadyProbe::answer(const HttpResponse& response) {
  for (const HttpExchange& exchange : std::exchange(waiting_, {})) exchange.respond(response);
}

}  // namespace ll
