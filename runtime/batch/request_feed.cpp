#include "runtime/batch/request_feed.h"

#include "base/check.h"
#include "runtime/batch/asking_order.h"
#include "runtime/batch/batch_envelope.h"

namespace ll {
RequestFeed::RequestFeed(LineReader& lines, const CompletionContext& context, uint64_t seed,
                         size_t capacity, LineChoice choice)
    : lines_(lines),
      context_(context),
      seed_(seed),
      choice_(choice),
      capacity_(capacity),
      thread_([this] { read_all(); }) {}

RequestFeed::~RequestFeed() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  lines_.cancel();
  changed_.notify_all();
  thread_.join();
}

// What a line says.
RequestFeed::Item RequestFeed::parse(const LineReader::Line& line) const {
  Item item;
  item.line = line.number;
  try {
    check(!line.is_too_long, "longer than job.max_line_bytes");
    item.request = parse_batch_line(line.text, line.number, seed_, context_, item.custom_id);
  } catch (const Error& e) {
    item.error = e.what();
  }
  return item;
}

// A stream's lines are asked as they come: nobody knows when the next one does.
std::vector<LineReader::Line> RequestFeed::read_window() {
  bool is_ordered = choice_.order != BatchOptions::Order::kArrival && lines_.is_file();
  size_t bytes = 0, limit = is_ordered ? choice_.window_bytes : 1;
  std::vector<LineReader::Line> window;
  LineReader::Line line;
  while (bytes < limit && lines_.num_lines() < choice_.range.last && lines_.next(line)) {
    if (line.is_blank() || !choice_.has(line.number)) continue;
    bytes += line.text.size() + sizeof(line);
    window.push_back(std::move(line));
  }
  return window;
}

// False: nobody wants more.
bool RequestFeed::push(Item item) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || items_.size() < capacity_; });
  if (stopping_) return false;
  items_.push_back(std::move(item));
  changed_.notify_all();
  return true;
}

void RequestFeed::read_all() {
  try {
    for (auto window = read_window(); !window.empty(); window = read_window())
      for (size_t i : asking_order(window, choice_.order)) {
        LineReader::Line line = std::move(window[i]);
        if (!push(parse(line))) return;
      }
  } catch (...) {
    std::lock_guard lock(mutex_);
    error_ = std::current_exception();
  }
  std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

std::optional<RequestFeed::Item> RequestFeed::pop(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return finished_ || !items_.empty(); });
  if (items_.empty()) {
    if (error_) std::rethrow_exception(error_);
    return std::nullopt;
  }
  Item item = std::move(items_.front());
  items_.pop_front();
  changed_.notify_all();
  return item;
}

bool RequestFeed::is_done() {
  std::lock_guard lock(mutex_);
  return finished_ && items_.empty() && !error_;
}

}  // namespace ll
