#pragma once
// OpenAI's objects of a file and of a batch, as they are answered and as they lie on disk.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ll {

struct FileObject {
  std::string id, filename, purpose;
  int64_t bytes = 0, created_at = 0;  // Unix time
};

enum class BatchStatus : uint8_t {
  kValidating,
  kInProgress,
  kFinalizing,
  kCancelling,
  kCompleted,
  kFailed,
  kExpired,
  kCancelled
};

// Why a batch failed.
struct BatchFault {
  std::string code, message, param;  // param: empty: none
  int64_t line = 0;                  // of the input; 0: none
};

struct BatchObject {
  std::string id, endpoint, input_file_id, completion_window;
  BatchStatus status = BatchStatus::kValidating;
  std::map<std::string, int64_t> times;  // Unix time of "created_at", "in_progress_at", ...
  int64_t total = 0, completed = 0, failed = 0;
  std::string output_file_id, error_file_id;  // empty: none
  std::vector<BatchFault> faults;
  std::string metadata = "null";  // JSON

  bool has_ended() const { return status >= BatchStatus::kCompleted; }
  int64_t created_at() const { return times.at("created_at"); }
};

std::string_view name_of(BatchStatus status);

std::string json_of(const FileObject& file);
std::string json_of(const BatchObject& batch);
// What json_of() wrote. Throws Error; `where` names the text.
FileObject parse_file(std::string_view json, const std::string& where);
BatchObject parse_batch(std::string_view json, const std::string& where);

}  // namespace ll
