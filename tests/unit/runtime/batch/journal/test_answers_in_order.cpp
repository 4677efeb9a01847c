#include "runtime/batch/journal/answers_in_order.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "runtime/batch/batch_envelope.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

std::string good(int64_t line, size_t bytes = 1) {
  return batch_record(line, "id", "{\"text\":\"" + std::string(bytes, 't') + "\"}") + "\n";
}
std::string bad(int64_t line) { return batch_error_record(line, "", "wrong") + "\n"; }

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
  return {read_text(folder / "out.tmp"), has_errors ? read_text(folder / "err.tmp") : ""};
}

}  // namespace

TEST_CASE("answers by line of the input, with lines that have none") {
  std::string big = good(14, 3 << 20);
  CHECK(copy(good(12) + big + bad(10) + good(13), {10, 20}, true, false).output ==
        bad(10) + good(12) + good(13) + big);
  CHECK(copy("", {1, 0}, true, false).output.empty());
}

TEST_CASE("errors in a file of their own, in either order") {
  std::string journal = good(3) + bad(2) + good(1) + bad(4);
  Copied came = copy(journal, {1, 4}, false, true), sorted = copy(journal, {1, 4}, true, true);
  CHECK(came.output == good(3) + good(1));
  CHECK(came.errors == bad(2) + bad(4));
  CHECK(sorted.output == good(1) + good(3));
  CHECK(sorted.errors == bad(2) + bad(4));
}

TEST_CASE("a copy that cannot be written leaves nothing") {
  TemporaryFolder folder;
  write_text(folder / "journal", good(1));
  int fd = ::open((folder / "journal").c_str(), O_RDONLY);
  CHECK(contains(error_of([&] {
                   copy_answers(fd, "journal", {1, 1},
                                {.output = folder / "out", .errors = folder / "none/err"});
                 }),
                 "No such file"));
  ::close(fd);
  CHECK_FALSE(fs::exists(folder / "out.tmp"));
}
