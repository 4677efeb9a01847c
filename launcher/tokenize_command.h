#pragma once
#include <string>
#include <vector>

namespace ll {

// litelang tokenize OPTIONS: JSON strings on standard input become JSON arrays of token ids on
// standard output, line by line; with --decode the reverse. Throws Error that names the line.
int tokenize_command(const std::vector<std::string>& arguments);

}  // namespace ll
