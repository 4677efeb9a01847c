#include "base/exception_text.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <stdexcept>
#include <system_error>

using namespace ll;

TEST_CASE("exceptions of the library in words") {
  CHECK(exception_text(std::runtime_error("as it is")) == "as it is");
  CHECK(exception_text(std::bad_alloc()).starts_with("out of memory"));
  std::string text = exception_text(
      std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again)));
  CHECK(text.starts_with("a thread cannot be started"));
  CHECK(text.find("ulimit -u") != std::string::npos);
}

// In a process of its own, for a limit cannot be raised again.
TEST_CASE("the limit of address space is named where there is one") {
  pid_t child = fork();
  if (child == 0) {
    rlimit limit{.rlim_cur = 3000000 * 1024UL, .rlim_max = RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    _exit(exception_text(std::bad_alloc()).find("(ulimit -v) is 3000000 kB") == std::string::npos);
  }
  int status = 1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
