#pragma once
// Which path does what, for whom.
#include <optional>

#include "runtime/server/service.h"

namespace ll {

// The answer to a request that need not be read further: an unknown path or method, a key or a
// content type that is missing, more requests than are taken.
std::optional<HttpResponse> refuse(const Service& service, const HttpRequest& head);

// Who takes the body of a request that is not refused, if it is not to be kept.
std::optional<HttpUpload> upload(Service& service, const HttpRequest& head);

void answer(Service& service, const HttpRequest& request, const HttpExchange& exchange);

// Those that let pages of other origins ask (server.cors_origin).
HttpHeaders cors_headers(const Service& service, const HttpRequest& head);

}  // namespace ll
