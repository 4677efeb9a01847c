#pragma once
// Bodies of requests, read where that holds up nobody: their texts are made tokens here.
#include <functional>
#include <string>

#include "runtime/server/service.h"

namespace ll {

// Makes of a body what is to be done with it on the server's thread. Is called on any; throws Error
// for a body that is wrong.
using BodyReader = std::function<Worker::Then(const std::string& body)>;

// Has the worker do something, and goes on with what that returns if the client is still there.
// What either throws is answered.
void work_on(Worker& worker, const HttpExchange& exchange, std::function<Worker::Then()> act,
             Endpoint endpoint = Endpoint::kCompletions);
// Has the worker make the answer.
void respond_by(Worker& worker, const HttpExchange& exchange, std::function<HttpResponse()> make);

// Reads the body, a long one with the service's worker, in the same way.
void read_body(Service& service, const HttpRequest& request, const HttpExchange& exchange,
               const BodyReader& read, Endpoint endpoint = Endpoint::kCompletions);

// Does something; an Error that it throws is the client's mistake, and answered.
void guard(const HttpExchange& exchange, const std::function<void()>& act,
           Endpoint endpoint = Endpoint::kCompletions);

}  // namespace ll
