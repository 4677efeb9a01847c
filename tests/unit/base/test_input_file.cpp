#include "base/input_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("input file: a pipe that nobody fills is refused at once, as is all that is no file") {
  TemporaryFolder folder;
  std::string path = folder / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  for (const std::string& p : {path, folder.path(), std::string("/dev/zero")})
    CHECK(error_of([&] { InputFile file(p); }) == p + ": is not a regular file");
}

TEST_CASE("input file: a Git LFS pointer is not the file it stands for") {
  TemporaryFolder folder;
  write_text(folder / "file", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  CHECK(contains(error_of([&] { InputFile file(folder / "file"); }),
                 "is a Git LFS pointer, not the file itself: run git lfs pull"));
  for (const char* text : {"", "v", "version 2"}) {
    write_text(folder / "file", text);
    CHECK(InputFile(folder / "file").read_all(100) == text);
  }
}
