#include "runtime/server/batches/batch_check.h"

#include <fmt/core.h>

#include <unordered_set>

#include "base/check.h"
#include "base/line_reader.h"
#include "base/printable.h"
#include "runtime/batch/batch_envelope.h"

namespace ll {
namespace {

constexpr size_t kMostFaults = 100;

// What is wrong with a line; `ids` are those of the lines before.
void check_line(const LineReader::Line& line, const std::string& endpoint,
                std::unordered_set<std::string>& ids) {
  check(!line.is_too_long, "longer than job.max_line_bytes");
  std::string custom_id;
  BatchLine read = read_batch_line(line.text, custom_id);
  check(ids.insert(custom_id).second, "custom_id: {} stands on an earlier line, too",
        printable(custom_id, 60));
  check(read.url == endpoint, "url: must be {}, the endpoint of the batch, not {}", endpoint,
        read.url);
}

}  // namespace

BatchCheck check_batch_file(const std::string& path, const std::string& endpoint,
                            int64_t max_line_bytes, const std::function<bool()>& stops) {
  LineReader lines(path, max_line_bytes);
  BatchCheck result;
  std::unordered_set<std::string> ids;
  for (LineReader::Line line; result.faults.size() < kMostFaults && !stops() && lines.next(line);) {
    if (line.is_blank()) continue;
    ++result.num_requests;
    try {
      check_line(line, endpoint, ids);
    } catch (const Error& e) {
      result.faults.push_back(
          {.code = "invalid_line", .message = e.what(), .param = "", .line = line.number});
    }
  }
  if (result.num_requests == 0 && !stops())
    result.faults.push_back({.code = "empty_file", .message = "the file has no requests"});
  return result;
}

}  // namespace ll
