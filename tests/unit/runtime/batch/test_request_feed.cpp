#include "runtime/batch/request_feed.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/model/files/model_files.h"
#include "tests/unit/runtime/api/completion_context.h"

using namespace ll;
using namespace ll::test;
using namespace std::chrono_literals;

namespace {

std::vector<RequestFeed::Item> items_of(const std::string& text, size_t capacity,
                                        int64_t max_line_bytes = 4096) {
  TemporaryFolder folder;
  write_text(folder / "in", text);
  LineReader lines(folder / "in", max_line_bytes);
  CompletionContext context = make_context();
  RequestFeed feed(lines, context, 0, capacity);
  std::vector<RequestFeed::Item> items;
  while (!feed.is_done())
    if (auto item = feed.pop(1s)) items.push_back(std::move(*item));
  CHECK(!feed.pop(0ms));
  return items;
}

std::string line_with_id(int64_t i) {
  return R"({"custom_id": ")" + std::to_string(i) +
         R"(", "url": "/v1/completions", "body": {"prompt": [1, 2]}})";
}

}  // namespace

TEST_CASE("feed: the chosen lines alone, by their numbers in the file") {
  TemporaryFolder folder;
  std::string text;
  for (int64_t i = 1; i <= 9; ++i) text += line_with_id(i) + "\n";
  write_text(folder / "in", text);
  LineReader lines(folder / "in", 4096);
  CompletionContext context = make_context();
  LineSet answered;
  answered.insert(5);
  RequestFeed feed(lines, context, 0, 2, {.range = {4, 7}, .without = &answered});
  std::vector<int64_t> read;
  while (!feed.is_done())
    if (auto item = feed.pop(1s)) read.push_back(item->line);
  CHECK(read == std::vector<int64_t>{4, 6, 7});
  CHECK(lines.num_lines() == 7);
}

TEST_CASE("feed: lines of a file in the order asked for, a window at a time") {
  TemporaryFolder folder;
  std::string text;
  for (int max_tokens : {1, 3, 2, 9, 7, 8})
    text +=
        R"({"custom_id": "x", "url": "/v1/completions", "body": {"prompt": [1], "max_tokens": )" +
        std::to_string(max_tokens) + "}}\n";
  write_text(folder / "in", text);
  CompletionContext context = make_context();
  auto lines_of = [&](const std::string& path, size_t window_bytes) {
    LineReader lines(path, 4096);
    RequestFeed feed(lines, context, 0, 2,
                     {.order = BatchOptions::Order::kLongest, .window_bytes = window_bytes});
    std::vector<int64_t> read;
    while (!feed.is_done())
      if (auto item = feed.pop(1s)) read.push_back(item->line);
    return read;
  };
  using Lines = std::vector<int64_t>;
  CHECK(lines_of(folder / "in", size_t{1} << 20) == Lines{4, 6, 5, 2, 3, 1});
  CHECK(lines_of(folder / "in", text.size() / 3) == Lines{2, 1, 4, 3, 6, 5});
  // A pipe's as they come.
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  std::thread writer([&] { write_text(folder / "pipe", text); });
  CHECK(lines_of(folder / "pipe", size_t{1} << 20) == Lines{1, 2, 3, 4, 5, 6});
  writer.join();
}

TEST_CASE("feed: good and bad lines in order, blank ones left out") {
  std::string text = line_with_id(1) + "\n \t \nnonsense\n" + line_with_id(4) + "\r\n\r\n" +
                     std::string(5000, ' ') + "\n" +
                     R"({"custom_id": "bad", "url": "/v1/completions", "body": {}})" + "\n" +
                     line_with_id(8);
  for (size_t capacity : {1, 3, 100}) {
    auto items = items_of(text, capacity);
    REQUIRE(items.size() == 6);
    CHECK(items[0].line == 1);
    CHECK(items[0].custom_id == "1");
    CHECK(items[0].request->prompts[0] == std::vector<int32_t>{1, 2});
    CHECK(items[1].line == 3);
    CHECK(!items[1].request);
    CHECK(!items[1].error.empty());
    CHECK(items[2].line == 4);
    CHECK(items[2].request.has_value());
    CHECK(items[3].line == 6);
    CHECK(items[3].error == "longer than job.max_line_bytes");
    CHECK(items[4].line == 7);
    CHECK(items[4].custom_id == "bad");  // for the error record
    CHECK(items[4].error == "prompt: is missing");
    CHECK(items[5].line == 8);
  }
}

TEST_CASE("feed: an empty file is done at once") {
  CHECK(items_of("", 4).empty());
  CHECK(items_of("\n\n", 4).empty());
}

TEST_CASE("feed: thousands of lines through a small queue") {
  std::string text;
  for (int64_t i = 0; i < 3000; ++i) text += line_with_id(i) + "\n";
  auto items = items_of(text, 7);
  REQUIRE(items.size() == 3000);
  for (size_t i = 0; i < items.size(); ++i) REQUIRE(items[i].custom_id == std::to_string(i));
}

TEST_CASE("feed: it may go while its queue is full") {
  TemporaryFolder folder;
  std::string text;
  for (int64_t i = 0; i < 100; ++i) text += line_with_id(i) + "\n";
  write_text(folder / "in", text);
  LineReader lines(folder / "in", 4096);
  CompletionContext context = make_context();
  RequestFeed feed(lines, context, 0, 2);
  CHECK(feed.pop(1s)->custom_id == "0");
  CHECK(!feed.is_done());
}

TEST_CASE("feed: it may go while it waits for a pipe that stays open") {
  TemporaryFolder folder;
  std::string path = folder / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  int both_ends = ::open(path.c_str(), O_RDWR);
  std::string line = line_with_id(1) + "\n";
  REQUIRE(::write(both_ends, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  {
    LineReader lines(path, 4096);
    CompletionContext context = make_context();
    RequestFeed feed(lines, context, 0, 2);
    CHECK(feed.pop(2s)->custom_id == "1");
    CHECK(!feed.pop(20ms));
    CHECK(!feed.is_done());
  }
  ::close(both_ends);
}

TEST_CASE("feed: an error of the reading thread comes out of pop") {
  LineReader lines("/proc/self/mem", 4096);  // reading its first byte fails
  CompletionContext context = make_context();
  RequestFeed feed(lines, context, 0, 2);
  std::string message;
  for (int i = 0; i < 100 && message.empty(); ++i) message = error_of([&] { feed.pop(100ms); });
  CHECK(message.find("/proc/self/mem: cannot read") != std::string::npos);
  CHECK(!feed.is_done());  // so that nobody takes it for a short file
}
