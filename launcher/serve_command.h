#pragma once
#include <string>
#include <vector>

namespace ll {

// litelang serve OPTIONS: an OpenAI-compatible server. Returns its exit code.
int serve_command(const std::vector<std::string>& arguments);

}  // namespace ll
