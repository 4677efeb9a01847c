#pragma once
// Lines of a batch's output: answers of so many bytes, and errors.
#include <string>

#include "runtime/batch/batch_envelope.h"

namespace ll::test {

inline std::string good_record(int64_t line, size_t bytes = 1) {
  return batch_record(line, "id", "{\"text\":\"" + std::string(bytes, 't') + "\"}");
}
inline std::string bad_record(int64_t line) { return batch_error_record(line, "", "wrong"); }

// With their ends.
inline std::string good_line(int64_t line, size_t bytes = 1) {
  return good_record(line, bytes) + "\n";
}
inline std::string bad_line(int64_t line) { return bad_record(line) + "\n"; }

}  // namespace ll::test
