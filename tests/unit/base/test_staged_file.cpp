#include "base/staged_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/durable_file.h"
#include "base/write_all.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("staged: the file is what it was, or whole") {
  TemporaryFolder folder;
  std::string path = folder / "a";
  write_text(path, "old");
  {
    StagedFile file(path);
    file.write("new");
  }
  CHECK(folder.files() == std::vector<std::string>{"a"});
  CHECK(read_file(path) == "old");
  StagedFile file(path);
  file.write(std::string(3 << 20, 'x'));
  file.write("y");
  file.finish();
  CHECK(read_file(path) == "old");
  CHECK(read_file(path + ".tmp") == std::string(3 << 20, 'x') + "y");
  rename_durably(path + ".tmp", path);
  StagedFile other(path);
  other.write("newer");
  other.commit();
  CHECK(read_file(path) == "newer");
  CHECK(folder.files() == std::vector<std::string>{"a"});
}

TEST_CASE("staged: what cannot be written names the file, and what to do") {
  TemporaryFolder folder;
  std::string path = folder / "none/a";
  CHECK(error_of([&] { StagedFile(path, "; make room"); }) ==
        path + ": cannot write: No such file or directory; make room");
}

TEST_CASE("write_all: a device that is full says so") {
  int fd = ::open("/dev/full", O_WRONLY);
  REQUIRE(fd >= 0);
  CHECK_FALSE(write_all(fd, "a"));
  CHECK(errno == ENOSPC);
  CHECK(write_all(fd, ""));
  ::close(fd);
}

TEST_CASE("write_all_at: moves no other writer's place") {
  TemporaryFolder folder;
  std::string path = folder / "a";
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0666);
  REQUIRE(fd >= 0);
  CHECK(write_all(fd, "aaaa"));
  CHECK(write_all_at(fd, "bb", 1));
  CHECK(write_all(fd, "c"));
  ::close(fd);
  CHECK(read_file(path) == "abbac");
}
