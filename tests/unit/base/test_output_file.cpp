#include "base/output_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("output: lines, on disk as soon as they are written") {
  TemporaryFolder folder;
  std::string path = folder / "out.jsonl";
  {
    OutputFile file(path, false);
    file.write_line("one");
    CHECK(read_file(path) == "one\n");
    file.write_line("");
    file.write_line(std::string(3 << 20, 'x'));
  }
  CHECK(read_file(path) == "one\n\n" + std::string(3 << 20, 'x') + "\n");
}

TEST_CASE("output: a file that exists is kept unless it may be overwritten") {
  TemporaryFolder folder;
  std::string path = folder / "out.jsonl";
  write_text(path, "precious\n");
  CHECK(contains(error_of([&] { OutputFile(path, false); }), "exists already"));
  CHECK(read_file(path) == "precious\n");
  OutputFile file(path, true);
  file.write_line("new");
  file.close();
  CHECK(read_file(path) == "new\n");
}

TEST_CASE("output: a file without a line is removed, unless the job ended well") {
  TemporaryFolder folder;
  { OutputFile file(folder / "failed", false); }
  CHECK(!fs::exists(folder / "failed"));
  {
    OutputFile file(folder / "empty", false);
    file.close();
    file.close();
  }
  CHECK(fs::exists(folder / "empty"));
}

TEST_CASE("output: what is there stays until the first line takes its place") {
  TemporaryFolder folder;
  std::string path = folder / "out.jsonl";
  write_text(path, "old\nanswers\n");
  { OutputFile failed(path, true); }
  CHECK(read_file(path) == "old\nanswers\n");
  {
    OutputFile file(path, true);
    CHECK(read_file(path) == "old\nanswers\n");
    file.write_line("n");
    CHECK(read_file(path) == "n\n");
  }
  CHECK(read_file(path) == "n\n");
  OutputFile(path, true).close();  // a job that ended well and had nothing to say
  CHECK(read_file(path).empty());
}

TEST_CASE("output: an empty file is no answer, and is not removed by who did not make it") {
  TemporaryFolder folder;
  std::string path = folder / "out.jsonl";
  write_text(path, "");
  { OutputFile failed(path, false); }
  CHECK(fs::exists(path));
  OutputFile(path, false).write_line("line");
  CHECK(read_file(path) == "line\n");
}

TEST_CASE("output: of one job at a time") {
  TemporaryFolder folder;
  std::string path = folder / "out.jsonl";
  {
    OutputFile first(path, false);
    for (bool overwrite : {false, true})
      CHECK(contains(error_of([&] { OutputFile(path, overwrite); }),
                     path + ": is being written by another job"));
    CHECK(fs::exists(path));
    first.write_line("first");
  }
  CHECK(contains(error_of([&] { OutputFile(path, false); }), "exists already"));
  OutputFile(path, true).write_line("second");
  CHECK(read_file(path) == "second\n");
}

TEST_CASE("output: what cannot be written is said at once") {
  TemporaryFolder empty;
  CHECK(
      contains(error_of([&] { OutputFile(empty / "none/out", false); }), "none/out: cannot write"));
  CHECK(contains(error_of([] { OutputFile("/tmp", true); }), "/tmp: cannot write"));
}

TEST_CASE("output: a full device") {
  std::string message = error_of([] { OutputFile("/dev/full", false).write_line("line"); });
  CHECK(contains(message, "/dev/full: cannot write: No space left"));
  CHECK(fs::exists("/dev/full"));  // only files of its own are removed
}

TEST_CASE("output: devices and pipes need no overwrite and are never removed") {
  {
    OutputFile file("/dev/null", false);
    file.write_line("line");
  }
  { OutputFile unused("/dev/null", true); }
  CHECK(fs::exists("/dev/null"));
  TemporaryFolder folder;
  std::string path = folder / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  int read_end = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  {
    OutputFile file(path, false);
    file.write_line("hello");
  }
  char text[8] = "";
  CHECK(::read(read_end, text, sizeof text) == 6);
  CHECK(std::string(text, 6) == "hello\n");
  ::close(read_end);
  CHECK(fs::exists(path));
}

// The limit on a file's size stands in for a disk that fills up within a line; in a process of its
// own, since it holds for all files.
TEST_CASE("output: a line that does not fit leaves none of itself behind") {
  TemporaryFolder folder;
  std::string path = folder / "out";
  pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    OutputFile file(path, false);
    std::string message;
    file.write_line(std::string(60, 'a'));
    try {
      file.write_line(std::string(60, 'b'));
    } catch (const Error& e) {
      message = e.what();
    }
    bool ok = contains(message, "cannot write") && contains(message, "the lines before are whole");
    ::_exit(ok ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(read_file(path) == std::string(60, 'a') + "\n");
}

TEST_CASE("output: what the reader of a pipe does not take waits, in order") {
  TemporaryFolder folder;
  std::string path = folder / "pipe", block(1 << 20, 'x');
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  OutputFile file(path, false);
  file.write_line("one");
  CHECK_FALSE(file.is_waiting());
  file.write_line(block);
  file.write_line("three");
  CHECK(file.is_waiting());
  file.flush(std::chrono::milliseconds(10));
  CHECK(file.is_waiting());
  std::string text, buffer(1 << 16, '\0');
  for (int i = 0; i < 1000 && file.is_waiting(); ++i) {
    ssize_t n = ::read(reader, buffer.data(), buffer.size());
    if (n > 0) text.append(buffer, 0, static_cast<size_t>(n));
    file.flush(std::chrono::milliseconds(0));
  }
  CHECK_FALSE(file.is_waiting());
  file.close();
  for (ssize_t n; (n = ::read(reader, buffer.data(), buffer.size())) > 0;)
    text.append(buffer, 0, static_cast<size_t>(n));
  CHECK(text == "one\n" + block + "\nthree\n");
  ::close(reader);
}

TEST_CASE("output: a pipe without a reader") {
  std::signal(SIGPIPE, SIG_IGN);
  TemporaryFolder folder;
  std::string path = folder / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  OutputFile named(path, false);
  ::setenv(kStandardOutputVariable, path.c_str(), 1);
  OutputFile standard("-", false);
  ::unsetenv(kStandardOutputVariable);
  ::close(reader);
  CHECK(contains(error_of([&] { named.write_line("lost"); }), "cannot write: Broken pipe"));
  CHECK_THROWS_AS(standard.write_line("lost"), ReaderGone);
}
