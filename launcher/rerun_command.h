#pragma once
#include <string>
#include <vector>

namespace ll {

// litelang rerun MANIFEST: a batch once more, and whether the answers are the same; returns the
// exit code.
int rerun_command(const std::vector<std::string>& arguments);

}  // namespace ll
