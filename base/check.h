#pragma once
// Errors. Libraries throw ll::Error; only main catches. The message is one line for the user: what
// is wrong, where, and what to do about it.
#include <fmt/core.h>

#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

namespace ll {

enum class ExitCode : int { kDone = 0, kError = 1, kUsage = 2, kResumable = 75 };

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what, ExitCode code = ExitCode::kError)
      : std::runtime_error(what), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

[[noreturn]] void throw_error(const std::string& message, ExitCode code = ExitCode::kError);

// fail("{}: truncated, {} of {} bytes", path, n, want)
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw_error(fmt::format(format, std::forward<Args>(args)...));
}

// The same for bad usage or a bad configuration: the program exits with 2.
template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw_error(fmt::format(format, std::forward<Args>(args)...), ExitCode::kUsage);
}

template <class... Args>
void check(bool ok, fmt::format_string<Args...> format, Args&&... args) {
  if (!ok) [[unlikely]]
    fail(format, std::forward<Args>(args)...);
}

// Broken invariant, a bug of ours: the message carries file, line and function.
[[noreturn]] void throw_broken(const char* what, std::source_location where);
inline void ensure(bool ok, const char* what,
                   std::source_location where = std::source_location::current()) {
  if (!ok) [[unlikely]]
    throw_broken(what, where);
}

}  // namespace ll
