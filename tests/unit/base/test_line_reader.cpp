#include "base/line_reader.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

constexpr int64_t kMegabyte = 1 << 20;

std::vector<LineReader::Line> lines_of(const std::string& text,
                                       int64_t max_line_bytes = kMegabyte) {
  TemporaryFolder folder;
  write_text(folder / "in", text);
  LineReader reader(folder / "in", max_line_bytes);
  std::vector<LineReader::Line> lines;
  for (LineReader::Line line; reader.next(line);) lines.push_back(line);
  LineReader::Line after;
  CHECK(!reader.next(after));  // the end stays the end
  return lines;
}

std::vector<std::string> texts_of(const std::string& text) {
  std::vector<std::string> texts;
  int64_t number = 0;
  for (const auto& line : lines_of(text)) {
    CHECK(line.number == ++number);
    CHECK(!line.is_too_long);
    texts.push_back(line.text);
  }
  return texts;
}

using Texts = std::vector<std::string>;

// Kilobytes of memory this process had at its largest.
int64_t peak_kilobytes() {
  for (std::string line, status = read_file("/proc/self/status"); !status.empty();) {
    size_t end = status.find('\n');
    line = status.substr(0, end);
    status.erase(0, end + 1);
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6));
  }
  return 0;
}

}  // namespace

TEST_CASE("lines: of all endings") {
  CHECK(texts_of("a\nb\n") == Texts{"a", "b"});
  CHECK(texts_of("a\nb") == Texts{"a", "b"});
  CHECK(texts_of("a\r\nb\r\n") == Texts{"a", "b"});
  CHECK(texts_of("a\r\nb\r") == Texts{"a", "b"});
  CHECK(texts_of("a\rb\n") == Texts{"a\rb"});
  CHECK(texts_of("\n\na\n\r\n\n") == Texts{"", "", "a", "", ""});
  CHECK(texts_of("\n") == Texts{""});
  CHECK(texts_of("") == Texts{});
  CHECK(texts_of(std::string("a\0b\n", 4)) == Texts{std::string("a\0b", 3)});
}

TEST_CASE("lines: too long ones are skipped, their neighbours are not") {
  auto lines = lines_of("12345\n123456\n1234\n" + std::string(50, 'x') + "\nend", 5);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].text == "12345");
  CHECK(lines[1].is_too_long);
  CHECK(lines[1].text.empty());
  CHECK(lines[2].text == "1234");
  CHECK(lines[3].is_too_long);
  CHECK(lines[3].number == 4);
  CHECK(lines[4].text == "end");
}

TEST_CASE("lines: across the borders of the buffer") {
  std::mt19937 rng(1);
  std::string text;
  Texts want;
  // Ends on, right before and right after each megabyte; one line longer than two buffers.
  for (int64_t border : {kMegabyte, 2 * kMegabyte, 5 * kMegabyte, 6 * kMegabyte})
    for (int64_t target : {border - 1, border, border + 1}) {
      std::string line(static_cast<size_t>(target) - text.size() - (target == border - 1), 'a');
      for (char& c : line) c = static_cast<char>('a' + rng() % 26);
      if (!line.empty()) line.pop_back();
      text += line + "\n";
      want.push_back(line);
    }
  auto lines = lines_of(text, 8 * kMegabyte);
  REQUIRE(lines.size() == want.size());
  for (size_t i = 0; i < want.size(); ++i) CHECK(lines[i].text == want[i]);
  // CR on one side of the border, LF on the other.
  std::string split(static_cast<size_t>(kMegabyte) - 1, 'b');
  lines = lines_of(split + "\r\nnext\r\n", 2 * kMegabyte);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text == split);
  CHECK(lines[1].text == "next");
}

TEST_CASE("lines: one of any length takes no memory") {
  TemporaryFolder folder;
  std::string path = folder / "in";
  write_text(path, "first\n");
  fs::resize_file(path, size_t{400} << 20);  // a hole of zeros is one long line
  LineReader reader(path, 64 * 1024);
  LineReader::Line line;
  REQUIRE(reader.next(line));
  CHECK(line.text == "first");
  int64_t before = peak_kilobytes();
  REQUIRE(reader.next(line));
  CHECK(line.is_too_long);
  CHECK(peak_kilobytes() < before + 64 * 1024);
  CHECK(!reader.next(line));
}

TEST_CASE("lines: what cannot be read is said at once") {
  TemporaryFolder empty;
  CHECK(contains(error_of([&] { LineReader(empty / "none/in", 10); }), "none/in: cannot open"));
  CHECK(contains(error_of([] { LineReader("/tmp", 10); }), "/tmp: is a folder"));
}

TEST_CASE("lines: a file that shrinks while it is read is no shorter file") {
  TemporaryFolder folder;
  std::string path = folder / "in";
  std::string text;
  while (text.size() < 3 * kMegabyte) text += "a line\n";
  write_text(path, text);
  LineReader reader(path, kMegabyte);
  LineReader::Line line;
  REQUIRE(reader.next(line));
  fs::resize_file(path, 2 * kMegabyte + 3);
  std::string message = error_of([&] {
    while (reader.next(line)) CHECK(line.text == "a line");  // never half of one
  });
  CHECK(contains(message, path + ": ends at byte 2097155, it was 3145730 bytes long"));
}

TEST_CASE("lines: what is no UTF-8 text is named") {
  using namespace std::string_view_literals;
  struct {
    std::string_view text, says;
  } cases[] = {{"\xff\xfe{\0\"\0"sv, "UTF-16"},
               {"\xfe\xff\0{\0\""sv, "UTF-16"},
               {"{\0\"\0"sv, "UTF-16"},
               {"PAR1\x15\x04"sv, "Parquet data"},
               {"<!DOCTYPE html>"sv, "HTML or XML"},
               {"<?xml version"sv, "HTML or XML"},
               {"\x1f\x8b\x08\0"sv, "gzip data, not text: unpack it, or pipe zcat into -"},
               {"\x28\xb5\x2f\xfd"sv, "Zstandard"},
               {"version https://git-lfs.github.com/spec/v1\n"sv, "Git LFS pointer"}};
  TemporaryFolder folder;
  for (const auto& [text, says] : cases) {
    CAPTURE(says);
    CHECK(contains(error_of([&, text = text] { texts_of(std::string(text)); }), std::string(says)));
    std::string path = folder / "pipe";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    int both_ends = ::open(path.c_str(), O_RDWR);
    REQUIRE(::write(both_ends, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    LineReader reader(path, kMegabyte);
    LineReader::Line line;
    CHECK(contains(error_of([&] { reader.next(line); }), std::string(says)));
    ::close(both_ends);
    fs::remove(path);
  }
  CHECK(texts_of("\xef\xbb\xbf{}\n").size() == 1);  // a mark of UTF-8 is none of another
}

TEST_CASE("lines: a pipe gives them as they come, and waiting can be cancelled") {
  TemporaryFolder folder;
  std::string path = folder / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  int write_end = -1;
  std::thread opener([&] { write_end = ::open(path.c_str(), O_WRONLY); });
  LineReader reader(path, kMegabyte);
  opener.join();
  REQUIRE(::write(write_end, "one\ntw", 6) == 6);
  LineReader::Line line;
  REQUIRE(reader.next(line));
  CHECK(line.text == "one");
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    reader.cancel();
  });
  CHECK(!reader.next(line));  // half a line is none
  canceller.join();
  CHECK(!reader.next(line));
  ::close(write_end);
}
