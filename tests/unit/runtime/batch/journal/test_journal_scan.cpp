#include "runtime/batch/journal/journal_scan.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "tests/unit/model/files/model_files.h"
#include "tests/unit/runtime/batch/answer_lines.h"

using namespace ll;
using namespace ll::test;

namespace {

class Journal {
 public:
  explicit Journal(const std::string& text) {
    write_text(folder_ / "out.partial", text);
    fd_ = ::open((folder_ / "out.partial").c_str(), O_RDONLY);
  }
  ~Journal() { ::close(fd_); }
  JournalScan scan(const LineRange& lines) const { return scan_journal(fd_, "out.partial", lines); }
  std::vector<std::string> lines(int64_t& end) const {
    std::vector<std::string> lines;
    end = for_each_line(fd_, "out.partial", [&](const JournalLine& line) {
      CHECK(line.number == static_cast<int64_t>(lines.size()) + 1);
      lines.emplace_back(line.text);
    });
    return lines;
  }

 private:
  TemporaryFolder folder_;
  int fd_ = -1;
};

}  // namespace

TEST_CASE("scan: lines of all lengths, in blocks and across them") {
  std::string text, longest(3 << 20, 'x');
  std::vector<std::string> want;
  for (size_t length : {0, 1, 5, 1 << 20, 0, (1 << 20) - 1, 77}) {
    want.emplace_back(length, 'a');
    text += want.back() + "\n";
  }
  want.push_back(longest);
  text += longest + "\n";
  int64_t end = 0;
  CHECK(Journal(text + "torn").lines(end) == want);
  CHECK(end == static_cast<int64_t>(text.size()));
  CHECK(Journal("").lines(end).empty());
  CHECK(end == 0);
  CHECK(Journal("torn").lines(end).empty());
  CHECK(end == 0);
}

TEST_CASE("scan: which lines are answered, and how") {
  JournalScan scan = Journal(good_line(3) + bad_line(1) + good_line(70000)).scan({1, 70000});
  for (int64_t line : {1, 3, 70000}) CHECK(scan.answered.contains(line));
  for (int64_t line : {0, 2, 4, 69999, 70001, 10'000'000})
    CHECK_FALSE(scan.answered.contains(line));
  CHECK(scan.answered.size() == 3);
  CHECK(scan.num_errors == 1);
  CHECK(scan.num_repeated == 0);
}

TEST_CASE("scan: a torn last line is not counted, wherever it is torn") {
  std::string whole = good_line(1) + bad_line(2), last = good_line(3);
  for (size_t cut = 0; cut < last.size(); ++cut) {
    JournalScan scan = Journal(whole + last.substr(0, cut)).scan({1, 3});
    CHECK(scan.answered.size() == 2);
    CHECK(scan.num_bytes == static_cast<int64_t>(whole.size()));
  }
}

TEST_CASE("scan: the first of two answers counts") {
  JournalScan scan = Journal(good_line(1) + bad_line(1) + good_line(2) + good_line(1)).scan({1, 2});
  CHECK(scan.answered.size() == 2);
  CHECK(scan.num_errors == 0);
  CHECK(scan.num_repeated == 2);
}

TEST_CASE("scan: a line in the middle that is no answer is an error with its number") {
  std::string cut = good_line(2).substr(0, 40) + "\n";
  for (const std::string& line :
       {cut, std::string("\n"), std::string("{}\n"), std::string(9, '\0') + "\n", good_line(0),
        good_line(-4), good_line(2).substr(1)}) {
    CAPTURE(line);
    std::string message = error_of([&] {
      Journal(good_line(1) + line + good_line(3)).scan({1, 3});
    });
    CHECK(contains(message, "out.partial:2: is no whole answer"));
    CHECK(contains(message, fmt::format("truncate -s {} out.partial", good_line(1).size())));
  }
}

TEST_CASE("scan: an answer to a line that the job does not have") {
  CHECK(contains(error_of([] {
                   Journal(good_line(5) + good_line(9)).scan({5, 8});
                 }),
                 "out.partial:2: answers line 9 of the input, which this job does not have"));
}
