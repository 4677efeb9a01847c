#pragma once
// Calls of the system that failed.
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace ll {

// Throws Error that ends with the system's reason for a call that was not ok:
// check_call(::close(fd) == 0, "{}: cannot write", path) says "a: cannot write: No space left on
// device". The reason is asked for in here, behind the call: the order of a call's arguments is the
// compiler's, so strerror(errno) as one of them may be the reason of an earlier one.
template <class... Args>
void check_call(bool ok, fmt::format_string<Args...> format, Args&&... args) {
  if (ok) [[likely]]
    return;
  int reason = errno;
  fail("{}: {}", fmt::format(format, std::forward<Args>(args)...), std::strerror(reason));
}

}  // namespace ll
