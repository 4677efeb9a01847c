#pragma once
// A batch under mpirun: requests in, answers by custom_id out.
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/process.h"

namespace ll::test {

using Json = nlohmann::ordered_json;

// A line of a batch file; `fields` go into the body.
Json completion(const std::string& id, const Json& prompt, const Json& fields);
Json chat(const std::string& id, const std::string& question, const Json& fields);
std::string jsonl(const std::vector<Json>& lines);

struct Batch {
  int np = 1;
  std::string model = model_file("tiny-qwen2-docs");
  std::string dtype = "float32";
  std::vector<std::string> sets;  // key=value, over the defaults of tests
};

struct Answers {
  Outcome outcome;
  std::vector<std::string> lines;             // as written
  std::map<std::string, Json> by_id;          // response.body
  std::map<std::string, std::string> errors;  // messages, by custom_id or "line N"

  const Json& choice(const std::string& id, size_t index = 0) const {
    return by_id.at(id).at("choices").at(index);
  }
  std::string text(const std::string& id, size_t index = 0) const {
    return choice(id, index)["text"];
  }
  // The ids of each choice's tokens, by custom_id.
  Json tokens() const;
};

// The command of a batch from `input` to `output`, one thread a rank.
std::vector<std::string> batch_command(const Batch& batch, const std::string& input,
                                       const std::string& output);

// An input in a folder of its own, and where its answers come.
struct BatchFiles {
  TempFolder folder;
  std::string in, out = folder.path("out"), partial = out + ".partial";

  explicit BatchFiles(const std::string& text) : in(folder.write("in", text)) {}
  std::vector<std::string> command(const Batch& batch) const {
    return batch_command(batch, in, out);
  }
  // The lines of a file, which may have come in any order.
  static std::vector<std::string> sorted(const std::string& path);
};

// Where no cached tokens are counted, the same answers have the same bytes: all are of one second.
inline const Process::Options kSameBytes = {.input = "", .env = {{"SOURCE_DATE_EPOCH", "0"}}};

// A file of requests r0, r1, ... of "The kernel 0", "The kernel 1", ... that use all of
// `max_tokens`.
std::string full_length_requests(int count, int max_tokens);

// Requests of which several share a prefix, some draw, and some end before `max_tokens` are used.
std::vector<Json> various_requests(int count, int max_tokens);

// Runs it and checks that it ended well and answered every line.
Answers answer(const Batch& batch, const std::string& input_text);
Answers answer(const Batch& batch, const std::vector<Json>& requests);

}  // namespace ll::test
