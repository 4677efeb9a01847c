#include "base/read_any.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <unistd.h>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

// What read_any makes of a pipe with this text in it.
std::string from_pipe(const std::string& text, uint64_t max_bytes) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], text.data(), text.size()) == std::ssize(text));
  ::close(ends[1]);
  std::string path = fmt::format("/dev/fd/{}", ends[0]), got;
  std::string error = error_of([&] { got = read_any(path, max_bytes); });
  ::close(ends[0]);
  return error.empty() ? got : error;
}

}  // namespace

TEST_CASE("read_any: files and pipes alike") {
  TemporaryFolder folder;
  write_text(folder / "file", "{{ a }}\n");
  CHECK(read_any(folder / "file", 100) == "{{ a }}\n");
  CHECK(from_pipe("{{ a }}\n", 100) == "{{ a }}\n");
  CHECK(from_pipe("", 100).empty());
  CHECK(read_any("/dev/null", 100).empty());
}

TEST_CASE("read_any: what is too long, and what is no text, is refused") {
  TemporaryFolder folder;
  CHECK(contains(from_pipe(std::string(101, 'a'), 100), "has more than the 100 bytes"));
  CHECK(contains(error_of([&] { read_any("/dev/zero", 100); }), "/dev/zero: has more than"));
  CHECK(contains(error_of([&] { read_any(folder.path(), 100); }), "is not a regular file"));
  CHECK(contains(error_of([&] { read_any(folder / "none", 100); }), "none: cannot be opened"));
}
