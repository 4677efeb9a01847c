#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ll {

// Reads the arguments into the app's options, whose names are written with _; - does as well.
// False when the user asked for help, which is printed. Throws Error (usage).
bool parse_options(CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace ll
