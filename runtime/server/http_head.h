#pragma once
#include <string>

#include "runtime/server/http_message.h"

namespace ll {

// The status line, the date and the headers of an answer, a line each; an empty line is to follow.
std::string response_head(int status, const HttpHeaders& headers);

}  // namespace ll
