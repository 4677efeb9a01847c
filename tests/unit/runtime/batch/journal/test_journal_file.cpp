#include "runtime/batch/journal/journal_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "base/write_signals.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

std::string nobody() { return ""; }

}  // namespace

TEST_CASE("journal: lines are there as soon as they are appended, and are gone on with") {
  TemporaryFolder folder;
  std::string path = folder / "out.partial";
  {
    JournalFile journal(path, nobody);
    journal.append("one");
    CHECK(read_file(path) == "one\n");
    journal.append("two");
    journal.sync();
  }
  JournalFile journal(path, nobody);
  CHECK(journal.size() == 8);
  journal.append("three");
  CHECK(read_file(path) == "one\ntwo\nthree\n");
}

TEST_CASE("journal: a torn end is cut, lines are dropped") {
  TemporaryFolder folder;
  std::string path = folder / "out.partial";
  write_text(path, "one\ntwo\nthree\nfo");
  {
    JournalFile journal(path, nobody);
    journal.cut(14);
    journal.keep([](const JournalLine& line) { return line.text != "two"; });
    CHECK(read_file(path) == "one\nthree\n");
    journal.append("four");
    CHECK(contains(error_of([&] { JournalFile(path, nobody); }), "is being written"));
  }
  CHECK(read_file(path) == "one\nthree\nfour\n");
}

TEST_CASE("journal: takes lines of another file, all or none") {
  TemporaryFolder folder;
  std::string path = folder / "out.partial", other = folder / "out";
  write_text(other, "one\ntwo\nthree\n");
  int fd = ::open(other.c_str(), O_RDONLY);
  JournalFile journal(path, nobody);
  journal.refill(fd, other, [](const JournalLine& line) { return line.text != "two"; });
  journal.append("four");
  CHECK(read_file(path) == "one\nthree\nfour\n");
  CHECK(read_file(other) == "one\ntwo\nthree\n");
  auto refuses = [](const JournalLine&) -> bool { throw Error("no"); };
  CHECK(error_of([&] { journal.refill(fd, other, refuses); }) == "no");
  ::close(fd);
  journal.append("five");
  CHECK(read_file(path) == "one\nthree\nfour\nfive\n");
  CHECK(contains(error_of([&] { JournalFile(path, nobody); }), "is being written"));
}

TEST_CASE("journal: one job at a time, which is named") {
  TemporaryFolder folder;
  std::string path = folder / "out.partial";
  JournalFile journal(path, nobody);
  journal.append("one");
  CHECK(error_of([&] { JournalFile(path, [] { return std::string("process 7 on node1"); }); }) ==
        path + ": is being written by another job: process 7 on node1; choose another job.output");
}

TEST_CASE("journal: an empty one is removed, a full one renamed") {
  TemporaryFolder folder;
  std::string path = folder / "out.partial";
  { JournalFile journal(path, nobody); }
  CHECK_FALSE(fs::exists(path));
  JournalFile journal(path, nobody);
  journal.append("one");
  journal.rename_to(folder / "out");
  CHECK_FALSE(fs::exists(path));
  CHECK(read_file(folder / "out") == "one\n");
  { JournalFile other(path, nobody); }  // the lock went with the name
}

TEST_CASE("journal: a folder that is no more") {
  TemporaryFolder folder;
  CHECK(contains(error_of([&] { JournalFile(folder / "none/out", nobody); }), "No such file"));
  fs::create_directory(folder / "here");
  JournalFile journal(folder / "here/out", nobody);
  journal.append("one");
  fs::remove_all(folder / "here");
  CHECK(contains(error_of([&] { journal.sync(); }), "was removed while it was written"));
  // The thread finds it, too.
  std::string message;
  for (int i = 0; i < 40 && message.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    message = error_of([&] { journal.append("two"); });
  }
  CHECK(contains(message, "was removed while it was written"));
}

TEST_CASE("journal: what does not fit leaves whole lines") {
  TemporaryFolder folder;
  std::string path = folder / "out.partial";
  ignore_write_signals();
  rlimit before = {}, limit = {};
  getrlimit(RLIMIT_FSIZE, &before);
  limit = before;
  limit.rlim_cur = 1000;
  {
    JournalFile journal(path, nobody);
    journal.append(std::string(600, 'a'));
    setrlimit(RLIMIT_FSIZE, &limit);
    std::string message = error_of([&] { journal.append(std::string(600, 'b')); });
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK(contains(message, "File too large; the lines before are whole"));
  }
  CHECK(read_file(path) == std::string(600, 'a') + "\n");
  std::signal(SIGXFSZ, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
}
