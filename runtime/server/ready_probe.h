#pragma once
// One forward pass for all who ask whether one goes through the ranks.
#include <vector>

#include "runtime/server/open_requests.h"

namespace ll {

class ReadyProbe {
 public:
  // Both outlive this.
  ReadyProbe(HttpServer& http, OpenRequests& open) : http_(http), open_(open) {}

  // Answers when the pass that is on its way, or a new one, has gone through or failed.
  void ask(const HttpExchange& exchange);

 private:
  void answer(const HttpResponse& response);

  HttpServer& http_;
  OpenRequests& open_;
  std::vector<HttpExchange> waiting_;
};

// The answer of a server that is ready.
HttpResponse ready_response();

}  // namespace ll
