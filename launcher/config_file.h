#pragma once
#include <string>

namespace ll {

// The text of a configuration; "" is the empty one. Throws Error (usage).
std::string read_config_file(const std::string& path);

}  // namespace ll
