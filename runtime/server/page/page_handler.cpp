#include <fmt/core.h>

#include <random>

#include "runtime/server/handlers.h"
#include "runtime/server/page/page.h"

namespace ll {
namespace {

std::string random_word() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
}

}  // namespace

// Only what the page itself brings runs, it speaks to this server alone, and no other page frames
// it.
void handle_page(Service&, const HttpRequest&, const HttpExchange& exchange) {
  std::string nonce = random_word(), body(kPage);
  replace_all(body, "NONCE", nonce);
  exchange.respond(
      {.body = std::move(body),
       .content_type = "text/html; charset=utf-8",
       .headers = {
           {"Content-Security-Policy",
            fmt::format("default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; "
                        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                        "frame-ancestors 'none'",
                        nonce)},
           {"X-Content-Type-Options", "nosniff"},
           {"Referrer-Policy", "no-referrer"},
           {"Cache-Control", "no-store"}}});
}

}  // namespace ll
