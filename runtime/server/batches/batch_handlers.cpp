// /v1/batches
#include "runtime/server/batches/batch_handlers.h"

#include <charconv>
#include <ctime>

#include "base/check.h"
#include "base/json_fields.h"
#include "base/printable.h"
#include "runtime/server/batches/batch_service.h"
#include "runtime/server/batches/object_list.h"
#include "runtime/server/body_reader.h"
#include "runtime/server/url_text.h"

namespace ll {
namespace {

// Seconds of "24h".
int64_t seconds_of(const std::string& window) {
  int64_t hours = 0;
  auto [end, error] = std::from_chars(window.data(), window.data() + window.size(), hours);
  bool is_hours = error == std::errc() && std::string_view(end) == "h" && hours > 0;
  constexpr int64_t kMostHours = 100'000;
  check(is_hours && hours <= kMostHours, "completion_window: must be hours, as 24h, not {}",
        printable(window, 40));
  return hours * 3600;
}

// An object of up to 16 texts.
std::string read_metadata(const JsonFields& body) {
  const JsonTree* metadata = body.find("metadata");
  if (!metadata) return "null";
  constexpr size_t kMostPairs = 16, kLongestKey = 64, kLongestText = 512;
  bool is_right = metadata->is(JsonTree::Kind::kObject) && metadata->members.size() <= kMostPairs;
  for (const auto& [key, value] : metadata->members)
    is_right = is_right && value.is(JsonTree::Kind::kString) && key.size() <= kLongestKey &&
               value.text.size() <= kLongestText;
  check(is_right, "metadata: must be an object of up to 16 short strings");
  return metadata->python_dump();
}

BatchObject read_batch(const std::string& json, const BatchStore& store) {
  JsonTree tree = JsonTree::parse(json, "body");
  check(tree.is(JsonTree::Kind::kObject), "body: must be an object");
  JsonFields body(tree);
  BatchObject b{.id = BatchStore::new_id("batch_"),
                .endpoint = body.text("endpoint", ""),
                .input_file_id = body.text("input_file_id", ""),
                .completion_window = body.text("completion_window", "24h")};
  check(endpoint_of(b.endpoint).has_value(),
        "endpoint: must be /v1/completions or /v1/chat/completions, not {}",
        printable(b.endpoint, 60));
  auto file = store.file(b.input_file_id);
  check(file.has_value(), "input_file_id: no such file: {}", printable(b.input_file_id, 100));
  check(file->purpose == "batch", "input_file_id: the file's purpose is {}, not batch",
        file->purpose);
  b.times["created_at"] = static_cast<int64_t>(std::time(nullptr));
  b.times["expires_at"] = b.created_at() + seconds_of(b.completion_window);
  b.metadata = read_metadata(body);
  return b;
}

}  // namespace

void handle_create_batch(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  respond_by(s.batches->disk, exchange, [&batches = *s.batches, json = q.body] {
    BatchObject batch = read_batch(json, batches.store);
    batches.store.add_batch(batch);
    batches.runner.wake();
    return HttpResponse{.body = json_of(batch)};
  });
}

void handle_batches(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  constexpr size_t kUsual = 20, kMost = 100;
  respond_by(s.batches->disk, exchange,
             [&store = s.batches->store, wish = page_wish(q, kUsual, kMost)] {
               return HttpResponse{.body = page_json(store.batches(), wish)};
             });
}

void handle_batch(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  respond_by(s.batches->disk, exchange, [&store = s.batches->store, id = path_part(q.path, 2)] {
    auto batch = store.batch(id);
    return batch ? HttpResponse{.body = json_of(*batch)} : no_such("batch", id);
  });
}

void handle_cancel_batch(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  respond_by(s.batches->disk, exchange, [&batches = *s.batches, id = path_part(q.path, 2)] {
    if (!batches.store.batch(id)) return no_such("batch", id);
    BatchObject batch = batches.store.update(id, [](BatchObject& b) {
      bool can_end = b.status == BatchStatus::kValidating || b.status == BatchStatus::kInProgress;
      check(can_end || b.status == BatchStatus::kCancelling,
            "batch_id: a batch that is {} cannot be cancelled", name_of(b.status));
      if (can_end) b.times["cancelling_at"] = static_cast<int64_t>(std::time(nullptr));
      b.status = BatchStatus::kCancelling;
    });
    batches.runner.wake();
    return HttpResponse{.body = json_of(batch)};
  });
}

}  // namespace ll
