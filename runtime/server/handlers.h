#pragma once
// What the paths of a server do. Called on the server's thread; an Error that one throws is the
// client's mistake.
#include <optional>

#include "runtime/server/service.h"

namespace ll {

using Handler = void (*)(Service&, const HttpRequest&, const HttpExchange&);

void handle_completions(Service&, const HttpRequest&, const HttpExchange&);
void handle_chat_completions(Service&, const HttpRequest&, const HttpExchange&);
// The original's: {"prompt", "do_sample", "top_k", "top_p", "temperature"}, also "max_tokens".
void handle_generate(Service&, const HttpRequest&, const HttpExchange&);
void handle_generate_stream(Service&, const HttpRequest&, const HttpExchange&);

void handle_tokenize(Service&, const HttpRequest&, const HttpExchange&);
void handle_detokenize(Service&, const HttpRequest&, const HttpExchange&);
void handle_tokenizer_info(Service&, const HttpRequest&, const HttpExchange&);

void handle_models(Service&, const HttpRequest&, const HttpExchange&);
void handle_model(Service&, const HttpRequest&, const HttpExchange&);
void handle_health(Service&, const HttpRequest&, const HttpExchange&);
void handle_ready(Service&, const HttpRequest&, const HttpExchange&);
void handle_version(Service&, const HttpRequest&, const HttpExchange&);
void handle_metrics(Service&, const HttpRequest&, const HttpExchange&);
// A chat and plots of the load, for a browser.
void handle_page(Service&, const HttpRequest&, const HttpExchange&);

// Why no request to the model is taken now. To be asked again when its body is there: meanwhile
// others may have come, or the end.
std::optional<ApiError> refuse_work(const Service& service);
// Why there is no such model; none: it is served.
std::optional<ApiError> refuse_model(const Service& service, const std::string& name);
// Throws Error unless the engine can ever run all of the request.
void check_fits(const Service& service, const CompletionRequest& request);
// Hands the request to the engine until it is answered, its client has left, or `timeout` seconds
// are over (0: never).
void open(Service& service, CompletionRequest request, double timeout, const HttpExchange& exchange,
          AnswerWriter writer);
// Different for every call.
uint64_t random_number();

}  // namespace ll
