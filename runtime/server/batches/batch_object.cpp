#include "runtime/server/batches/batch_object.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/json_fields.h"

namespace ll {
namespace {

constexpr std::string_view kStatusNames[] = {"validating", "in_progress", "finalizing",
                                             "cancelling", "completed",   "failed",
                                             "expired",    "cancelled"};
// In OpenAI's order.
constexpr const char* kTimes[] = {"created_at",    "in_progress_at", "expires_at",
                                  "finalizing_at", "completed_at",   "failed_at",
                                  "expired_at",    "cancelling_at",  "cancelled_at"};

std::string text_or_null(std::string_view text) {
  return text.empty() ? "null" : json_string(text);
}

std::string faults_json(const BatchObject& b) {
  if (b.faults.empty()) return "null";
  std::string list;
  for (const BatchFault& f : b.faults)
    list += fmt::format(R"({}{{"code":{},"message":{},"param":{},"line":{}}})",
                        list.empty() ? "" : ",", json_string(f.code), json_string(f.message),
                        text_or_null(f.param), f.line == 0 ? "null" : std::to_string(f.line));
  return fmt::format(R"({{"object":"list","data":[{}]}})", list);
}

std::vector<BatchFault> parse_faults(const JsonFields& fields) {
  std::vector<BatchFault> faults;
  const JsonTree* errors = fields.find("errors");
  const JsonTree* data = errors ? errors->find("data") : nullptr;
  if (!data) return faults;
  for (const auto& [key, one] : data->members) {
    JsonFields fault(one, fields.where());
    faults.push_back({fault.text("code", ""), fault.text("message", ""), fault.text("param", ""),
                      fault.integer("line", 0, INT64_MAX, 0)});
  }
  return faults;
}

}  // namespace

std::string_view name_of(BatchStatus status) { return kStatusNames[static_cast<size_t>(status)]; }

std::string json_of(const FileObject& f) {
  return fmt::format(
      R"({{"id":{},"object":"file","bytes":{},"created_at":{},"filename":{},"purpose":{},)"
      R"("status":"processed"}})",
      json_string(f.id), f.bytes, f.created_at, json_string(f.filename), json_string(f.purpose));
}

std::string json_of(const BatchObject& b) {
  std::string times;
  for (const char* name : kTimes) {
    auto found = b.times.find(name);
    times += fmt::format(R"("{}":{},)", name,
                         found == b.times.end() ? "null" : std::to_string(found->second));
  }
  return fmt::format(
      R"({{"id":{},"object":"batch","endpoint":{},"errors":{},"input_file_id":{},)"
      R"("completion_window":{},"status":"{}","output_file_id":{},"error_file_id":{},{})"
      R"("request_counts":{{"total":{},"completed":{},"failed":{}}},"metadata":{}}})",
      json_string(b.id), json_string(b.endpoint), faults_json(b), json_string(b.input_file_id),
      json_string(b.completion_window), name_of(b.status), text_or_null(b.output_file_id),
      text_or_null(b.error_file_id), times, b.total, b.completed, b.failed, b.metadata);
}

FileObject parse_file(std::string_view json, const std::string& where) {
  JsonTree tree = JsonTree::parse(json, where);
  JsonFields fields(tree, where);
  return {.id = fields.text("id", ""),
          .filename = fields.text("filename", ""),
          .purpose = fields.text("purpose", ""),
          .bytes = fields.integer("bytes", 0, INT64_MAX),
          .created_at = fields.integer("created_at", 0, INT64_MAX)};
}

BatchObject parse_batch(std::string_view json, const std::string& where) {
  JsonTree tree = JsonTree::parse(json, where);
  JsonFields fields(tree, where);
  BatchObject b{.id = fields.text("id", ""),
                .endpoint = fields.text("endpoint", ""),
                .input_file_id = fields.text("input_file_id", ""),
                .completion_window = fields.text("completion_window", "")};
  auto status =
      std::find(std::begin(kStatusNames), std::end(kStatusNames), fields.text("status", ""));
  check(status != std::end(kStatusNames), "{}: status is unknown", where);
  b.status = static_cast<BatchStatus>(status - std::begin(kStatusNames));
  for (const char* name : kTimes)
    if (fields.has(name)) b.times[name] = fields.integer(name, 0, INT64_MAX);
  check(b.times.contains("created_at"), "{}: created_at is missing", where);
  if (const JsonTree* counts = fields.find("request_counts")) {
    JsonFields c(*counts, where);
    b.total = c.integer("total", 0, INT64_MAX);
    b.completed = c.integer("completed", 0, INT64_MAX);
    b.failed = c.integer("failed", 0, INT64_MAX);
  }
  b.output_file_id = fields.text("output_file_id", "");
  b.error_file_id = fields.text("error_file_id", "");
  b.faults = parse_faults(fields);
  if (const JsonTree* metadata = fields.find("metadata")) b.metadata = metadata->python_dump();
  return b;
}

}  // namespace ll
