#include "base/exception_text.h"

#include <fmt/core.h>
#include <sys/resource.h>

#include <new>
#include <system_error>

namespace ll {
namespace {

// "; the limit of address space (ulimit -v) is 1500000 kB", where there is one.
std::string address_limit() {
  struct rlimit limit = {};
  bool is_limited = ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return is_limited ? fmt::format("; the limit of address space (ulimit -v) is {} kB",
                                  limit.rlim_cur / 1024)
                    : "";
}

}  // namespace

std::string exception_text(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error)) return "out of memory" + address_limit();
  const auto* system = dynamic_cast<const std::system_error*>(&error);
  if (system && system->code() == std::errc::resource_unavailable_try_again)
    return fmt::format(
        "a thread cannot be started ({}): no memory for it, or too many processes (ulimit -u){}",
        error.what(), address_limit());
  return error.what();
}

}  // namespace ll
