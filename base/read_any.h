#pragma once
// The text of a file that a user names on a command line: a regular file, or a pipe, as the shell's
// <(command) makes them.
#include <cstdint>
#include <string>

namespace ll {

// Waits for the other end of a pipe. Throws Error when there is more than `max_bytes`.
std::string read_any(const std::string& path, uint64_t max_bytes);

}  // namespace ll
