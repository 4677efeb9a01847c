#include "runtime/batch/journal/answers_in_order.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/model/files/model_files.h"
#include "tests/unit/runtime/batch/answer_lines.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Copied {
  std::string output, errors;
};

Copied copy(const std::string& journal, const LineRange& lines, bool is_sorted, bool has_errors) {
  TemporaryFolder folder;
  write_text(folder / "journal", journal);
  int fd = ::open((folder / "journal").c_str(), O_RDONLY);
  copy_answers(fd, "journal", lines,
               {.output = folder / "out",
                .errors = has_errors ? folder / "err" : "",
                .is_sorted = is_sorted});
  ::close(fd);
  return {read_file(folder / "out.tmp"), has_errors ? read_file(folder / "err.tmp") : ""};
}

}  // namespace

TEST_CASE("answers by line of the input, with lines that have none") {
  std::string big = good_line(14, 3 << 20);
  CHECK(copy(good_line(12) + big + bad_line(10) + good_line(13), {10, 20}, true, false).output ==
        bad_line(10) + good_line(12) + good_line(13) + big);
  CHECK(copy("", {1, 0}, true, false).output.empty());
}

TEST_CASE("errors in a file of their own, in either order") {
  std::string journal = good_line(3) + bad_line(2) + good_line(1) + bad_line(4);
  Copied came = copy(journal, {1, 4}, false, true), sorted = copy(journal, {1, 4}, true, true);
  CHECK(came.output == good_line(3) + good_line(1));
  CHECK(came.errors == bad_line(2) + bad_line(4));
  CHECK(sorted.output == good_line(1) + good_line(3));
  CHECK(sorted.errors == bad_line(2) + bad_line(4));
}

TEST_CASE("a copy that cannot be written leaves nothing") {
  TemporaryFolder folder;
  write_text(folder / "journal", good_line(1));
  int fd = ::open((folder / "journal").c_str(), O_RDONLY);
  CHECK(contains(error_of([&] {
                   copy_answers(fd, "journal", {1, 1},
                                {.output = folder / "out", .errors = folder / "none/err"});
                 }),
                 "No such file"));
  ::close(fd);
  CHECK_FALSE(fs::exists(folder / "out.tmp"));
}
