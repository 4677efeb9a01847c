#pragma once
#include <exception>
#include <string>

namespace ll {

// What an exception of the standard library says to a user: a limit of this process that was hit
// (ulimit -v, -u) is named.
std::string exception_text(const std::exception& error);

}  // namespace ll
