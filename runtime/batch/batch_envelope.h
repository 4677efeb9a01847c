#pragma once
// OpenAI's batch format: the envelope round the body of a request and of its answer.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json_tree.h"
#include "runtime/api/completion.h"

namespace ll {

// A line of the input: {"custom_id", "method", "url", "body"}.
struct BatchLine {
  JsonTree record;
  std::string url;
  Endpoint endpoint = Endpoint::kCompletions;

  const JsonTree& body() const { return *record.find("body"); }
};
// Throws Error that says what is wrong with the envelope; the body is an object of any kind.
// `custom_id` is set as soon as it is known.
BatchLine read_batch_line(std::string_view json, std::string& custom_id);

// The request of a line. A body without a seed gets one of
// its own, made of `seed` and the line's number: draws differ from line to line and are the same in
// every run. Throws Error as read_batch_line() does.
CompletionRequest parse_batch_line(std::string_view json, int64_t number, uint64_t seed,
                                   const CompletionContext& context, std::string& custom_id);

// A line of the output, without a line end: {"id", "custom_id", "response": {"status_code",
// "request_id", "body"}, "error": null}. `body` is JSON.
std::string batch_record(int64_t line, std::string_view custom_id, std::string_view body);

// That of a line that could not be run: "response" is null, "error" has code, message and line.
std::string batch_error_record(int64_t line, std::string_view custom_id, std::string_view message);

}  // namespace ll
