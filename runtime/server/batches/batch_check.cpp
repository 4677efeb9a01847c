#include "runtime/server/batches/batch_check.h"

#include <fmt/core.h>

#include <unordered_set>

#include "base/check.h"
#include "base/json_fields.h"
#include "base/line_reader.h"
#include "base/printable.h"

namespace ll {
namespace {

constexpr size_t kMostFaults = 100;

// What is wrong with a line; `ids` are those of the lines before.
void check_line(const LineReader::Line& line, const std::string& endpoint,
                std::unordered_set<std::string>& ids) {
  check(!line.is_too_long, "longer than job.max_line_bytes");
  JsonTree record = JsonTree::parse(line.text, "JSON");
  check(record.is(JsonTree::Kind::kObject), "not a JSON object");
  JsonFields fields(record);
  std::string custom_id = fields.text("custom_id", "");
  check(!custom_id.empty(), "custom_id: is missing");
  check(ids.insert(custom_id).second, "custom_id: {} stands on an earlier line, too",
        printable(custom_id, 60));
  check(fields.text("method", "POST") == "POST", "method: must be POST");
  std::string url = fields.text("url", "");
  check(url == endpoint, "url: must be {}, the endpoint of the batch, not {}", endpoint,
        printable(url, 60));
  const JsonTree* body = fields.find("body");
  check(body && body->is(JsonTree::Kind::kObject), "body: must be an object");
}

}  // namespace

BatchCheck check_batch_file(const std::string& path, const std::string& endpoint,
                            int64_t max_line_bytes, const std::function<bool()>& stops) {
  LineReader lines(path, max_line_bytes);
  BatchCheck result;
  std::unordered_set<std::string> ids;
  for (LineReader::Line line; result.faults.size() < kMostFaults && !stops() && lines.next(line);) {
    if (line.text.empty() && !line.is_too_long) continue;
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
