#pragma once
// Reads and tokenizes a batch file on a thread of its own, a bounded number of requests ahead of
// the engine.
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/line_reader.h"
#include "runtime/api/completion.h"
#include "runtime/batch/journal/line_set.h"
#include "runtime/config/batch_options.h"
#include "runtime/config/line_range.h"

namespace ll {

// Which lines of a file to read, and how they are ordered.
struct LineChoice {
  LineRange range;
  const LineSet* without = nullptr;
  BatchOptions::Order order = BatchOptions::Order::kArrival;
  // So many bytes of lines are held and ordered at a time.
  size_t window_bytes = size_t{256} << 20;

  bool has(int64_t line) const {
    return range.contains(line) && !(without && without->contains(line));
  }
};

class RequestFeed {
 public:
  struct Item {
    int64_t line = 0;
    std::string custom_id;
    std::optional<CompletionRequest> request;  // empty: the line is bad
    std::string error;
  };

  // `lines`, `context` and the choice's set outlive the feed, which leaves no line to read behind
  // it. `seed`: see parse_batch_line.
  RequestFeed(LineReader& lines, const CompletionContext& context, uint64_t seed, size_t capacity,
              LineChoice choice = {});
  ~RequestFeed();
  RequestFeed(const RequestFeed&) = delete;
  RequestFeed& operator=(const RequestFeed&) = delete;

  // The next item, if there is one within `patience`. Throws what the reading thread threw.
  std::optional<Item> pop(std::chrono::milliseconds patience);
  // No item is left and none will come.
  bool is_done();

 private:
  Item parse(const LineReader::Line& line) const;
  std::vector<LineReader::Line> read_window();
  bool push(Item item);
  void read_all();

  LineReader& lines_;
  const CompletionContext& context_;
  uint64_t seed_;
  LineChoice choice_;
  size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  bool finished_ = false, stopping_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace ll
