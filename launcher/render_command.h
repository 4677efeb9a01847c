#pragma once
#include <string>
#include <vector>

namespace ll {

// litelang render [-m MODEL] [--template FILE]: what a chat template makes of chat requests.
int render_command(const std::vector<std::string>& arguments);

}  // namespace ll
