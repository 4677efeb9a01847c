#include "tests/e2e/batch.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>

namespace ll::test {

Json completion(const std::string& id, const Json& prompt, const Json& fields) {
  Json body = {{"prompt", prompt}};
  body.update(fields);
  return {{"custom_id", id}, {"method", "POST"}, {"url", "/v1/completions"}, {"body", body}};
}

Json chat(const std::string& id, const std::string& question, const Json& fields) {
  Json body = {{"messages", {{{"role", "user"}, {"content", question}}}}};
  body.update(fields);
  return {{"custom_id", id}, {"method", "POST"}, {"url", "/v1/chat/completions"}, {"body", body}};
}

std::string jsonl(const std::vector<Json>& lines) {
  std::string text;
  for (const Json& line : lines) text += line.dump() + "\n";
  return text;
}

Json Answers::tokens() const {
  Json tokens;
  for (const auto& [id, body] : by_id)
    for (const Json& choice : body["choices"]) tokens[id].push_back(choice["token_ids"]);
  return tokens;
}

std::vector<std::string> batch_command(const Batch& batch, const std::string& input,
                                       const std::string& output) {
  std::vector<std::string> command = {"mpirun",
                                      "--allow-run-as-root",
                                      "--quiet",
                                      "--oversubscribe",
                                      "--bind-to",
                                      "none",
                                      "-np",
                                      std::to_string(batch.np),
                                      program("litelang-run")};
  std::vector<std::string> sets = {"model.path=" + batch.model,
                                   "model.dtype=" + batch.dtype,
                                   "backend=cpu",
                                   "threads=1",
                                   "kv_cache.memory_bytes=40MB",
                                   "step_timeout_s=40",
                                   "job.input=" + input,
                                   "job.output=" + output};
  sets.insert(sets.end(), batch.sets.begin(), batch.sets.end());
  for (const std::string& set : sets) command.insert(command.end(), {"--set", set});
  return command;
}

std::vector<std::string> BatchFiles::sorted(const std::string& path) {
  auto lines = lines_of(read_file(path));
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string full_length_requests(int count, int max_tokens) {
  std::vector<Json> lines;
  for (int i = 0; i < count; ++i)
    lines.push_back(completion(fmt::format("r{}", i), fmt::format("The kernel {}", i),
                               {{"max_tokens", max_tokens}, {"ignore_eos", true}}));
  return jsonl(lines);
}

std::vector<Json> various_requests(int count, int max_tokens) {
  std::vector<Json> requests;
  for (int i = 0; i < count; ++i) {
    Json fields = {{"max_tokens", max_tokens - i % 3}};
    if (i % 2 == 0) fields["ignore_eos"] = true;
    if (i % 3 == 1) fields["temperature"] = 0.8, fields["stop"] = {"the", "."};
    requests.push_back(
        completion(fmt::format("r{}", i),
                   fmt::format("The kernel has the following options, of which {}", i), fields));
  }
  return requests;
}

Answers answer(const Batch& batch, const std::string& input_text) {
  TempFolder folder;
  std::string input = folder.write("in.jsonl", input_text), output = folder.path("out.jsonl");
  Answers answers;
  answers.outcome = run(batch_command(batch, input, output));
  INFO(answers.outcome.err);
  REQUIRE_FALSE(answers.outcome.timed_out);
  REQUIRE(answers.outcome.exit_code == 0);
  answers.lines = lines_of(read_file(output));
  for (const std::string& line : answers.lines) {
    Json record = Json::parse(line);
    std::string id = record["custom_id"].is_null()
                         ? fmt::format("line {}", record["error"]["line"].get<int>())
                         : record["custom_id"].get<std::string>();
    if (record["error"].is_null())
      answers.by_id[id] = record["response"]["body"];
    else
      answers.errors[id] = record["error"]["message"];
  }
  return answers;
}

Answers answer(const Batch& batch, const std::vector<Json>& requests) {
  Answers answers = answer(batch, jsonl(requests));
  REQUIRE(answers.by_id.size() + answers.errors.size() == requests.size());
  return answers;
}

}  // namespace ll::test
