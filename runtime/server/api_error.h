#pragma once
// OpenAI's errors.
#include <string>
#include <string_view>

#include "runtime/api/completion.h"
#include "runtime/server/http_message.h"

namespace ll {

struct ApiError {
  int status = 400;
  std::string message;
  std::string param = {};  // the field that is wrong; empty: none is
  std::string code = {};
  // Seconds after which another try may succeed; 0: it will not.
  int retry_after = 0;
};

// That of a body whose field is wrong, as the message of an Error tells: "temperature: ...". What
// is wrong with the prompt of a chat is with its messages.
ApiError bad_request(std::string_view message, Endpoint endpoint = Endpoint::kCompletions);

// {"error": {"message", "type", "param", "code"}}
std::string error_json(const ApiError& error);
HttpResponse error_response(const ApiError& error);

}  // namespace ll
