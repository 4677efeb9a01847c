#include "base/check.h"

namespace ll {
namespace {

// Messages quote what users and their files say, which may hold anything; they stay one line of
// bearable length all the same.
std::string one_line(const std::string& message) {
  constexpr size_t kMaxBytes = 2000;
  std::string line;
  for (char c : message.substr(0, kMaxBytes)) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 32 || byte == 127)
      line += fmt::format("\\x{:02x}", byte);
    else
      line += c;
  }
  return message.size() > kMaxBytes ? line + "..." : line;
}

}  // namespace

void throw_error(const std::string& message, ExitCode code) {
  throw Error(one_line(message), code);
}

void throw_broken(const char* what, std::source_location where) {
  throw Error(fmt::format("internal error: {} ({}:{} in {}); please report it", what,
                          where.file_name(), where.line(), where.function_name()));
}

}  // namespace ll
