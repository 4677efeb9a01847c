#pragma once
// Bodies of requests, read where that holds up nobody: their texts are made tokens here.
#include <functional>
#include <string>

#include "runtime/server/service.h"

namespace ll {

// Makes of a body what is to be done with it on the server's thread. Is called on any; throws Error
// for a body that is wrong.
using BodyReader = std::function<Worker::Then(const std::string& body)>;

// Reads the body, a long one with the worker, and goes on if the client is still there. What either
// throws is answered.
void read_body(Service& service, const HttpRequest& request, const HttpExchange& exchange,
               const BodyReader& read, Endpoint endpoint = Endpoint::kCompletions);

// Does something; an Error that it throws is the client's mistake, and answered.
void guard(const HttpExchange& exchange, const std::function<void()>& act,
           Endpoint endpoint = Endpoint::kCompletions);

}  // namespace ll
