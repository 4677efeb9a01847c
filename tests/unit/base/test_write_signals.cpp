#include "base/write_signals.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

// In a process of its own, since signals are the whole process's.
TEST_CASE("write signals: writes that cannot be done fail with a reason") {
  TemporaryFolder folder;
  std::string path = folder / "out";
  pid_t child = ::fork();
  if (child == 0) {
    ignore_write_signals();
    int ends[2];
    bool ok = ::pipe(ends) == 0 && ::close(ends[0]) == 0;
    ok = ok && ::write(ends[1], "x", 1) == -1 && errno == EPIPE;
    rlimit limit{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    ok = ok && fd >= 0 && ::write(fd, "x", 1) == -1 && errno == EFBIG;
    ::_exit(ok ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
