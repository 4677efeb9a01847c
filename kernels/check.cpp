#include "kernels/check.h"

namespace ll {

void throw_error(std::string message, ExitCode code) { throw Error(message, code); }

void throw_broken(const char* what, std::source_location where) {
  throw Error(fmt::format("internal error: {} ({}:{} in {}); please report it", what,
                          where.file_name(), where.line(), where.function_name()));
}

}  // namespace ll
