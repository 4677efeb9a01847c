#pragma once
// Reads and tokenizes a batch file on a thread of its own, a bounded number of requests ahead of
// the engine.
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "base/line_reader.h"
#include "runtime/api/completion.h"

namespace ll {

class RequestFeed {
 public:
  struct Item {
    int64_t line = 0;
    std::string custom_id;
    std::optional<CompletionRequest> request;  // empty: the line is bad
    std::string error;
    std::string text;  // the line itself, where it is good and not yet on the rank that answers it
  };
  // What a line says.
  static Item parse(const LineReader::Line& line, const CompletionContext& context);

  // Both outlive the feed, which leaves no line to read behind it.
  RequestFeed(LineReader& lines, const CompletionContext& context, size_t capacity,
              bool keeps_text = false);
  ~RequestFeed();
  RequestFeed(const RequestFeed&) = delete;
  RequestFeed& operator=(const RequestFeed&) = delete;

  // The next item, if there is one within `patience`. Throws what the reading thread threw.
  std::optional<Item> pop(std::chrono::milliseconds patience);
  // No item is left and none will come.
  bool is_done();

 private:
  void read_all();

  LineReader& lines_;
  const CompletionContext& context_;
  size_t capacity_;
  bool keeps_text_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  bool finished_ = false, stopping_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace ll
