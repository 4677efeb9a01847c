#include "launcher/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/check.h"

namespace ll {
namespace {

// --max-batch-size=8 to --max_batch_size=8
std::string with_underscores(std::string argument) {
  if (!argument.starts_with("--")) return argument;
  auto end = std::find(argument.begin(), argument.end(), '=');
  std::replace(argument.begin() + 2, end, '-', '_');
  return argument;
}

}  // namespace

bool parse_options(CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<std::string> reversed;
  for (const std::string& argument : arguments) reversed.push_back(with_underscores(argument));
  std::reverse(reversed.begin(), reversed.end());  // as CLI11 wants them
  try {
    app.parse(reversed);
    return true;
  } catch (const CLI::Success& e) {
    app.exit(e);
    return false;
  } catch (const CLI::Error& e) {
    fail_usage("{}; --help tells how to use it", e.what());
  }
}

}  // namespace ll
