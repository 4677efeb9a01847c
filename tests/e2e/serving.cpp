#include "tests/e2e/serving.h"

#include <doctest/doctest.h>

#include <filesystem>

namespace ll::test {

using std::chrono::seconds;

Serving::Serving(const std::vector<std::string>& arguments) : process_(command(arguments)) {
  bool is_up = wait_until([&] { return std::filesystem::exists(endpoint()); }, seconds(60));
  INFO(process_.err_so_far());
  REQUIRE(is_up);
  std::string url = lines_of(read_file(endpoint())).at(0);
  CHECK(url.find("://127.0.0.1:") != std::string::npos);
  port_ = std::stoi(url.substr(url.rfind(':') + 1));
}

std::vector<std::string> Serving::command(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = {program("litelang"),
                                  "--model_path",
                                  model_file("tiny-qwen2-docs"),
                                  "--port",
                                  "0",
                                  "--endpoint_file",
                                  endpoint(),
                                  "--backend",
                                  "cpu",
                                  "--set",
                                  "threads=1",
                                  "--set",
                                  "kv_cache.memory_bytes=40MB"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

HttpReply Serving::ask(const std::string& path, const Json& body, std::string_view headers) const {
  return HttpClient(port_).ask("POST", path, body.dump(), headers);
}

Json Serving::answer(const std::string& path, const Json& body) const {
  HttpReply reply = ask(path, body);
  INFO(reply.body);
  REQUIRE(reply.status == 200);
  return Json::parse(reply.body);
}

HttpReply Serving::get(const std::string& path) const { return HttpClient(port_).ask("GET", path); }

double Serving::metric(const std::string& name) const {
  for (const std::string& line : lines_of(get("/metrics").body))
    if (line.starts_with("litelang:" + name + "{")) return std::stod(line.substr(line.rfind(' ')));
  return -1;
}

bool Serving::becomes(const std::string& name, double value, seconds limit) const {
  return wait_until([&] { return metric(name) == value; }, limit);
}

void Serving::end(int signal) {
  process_.signal(signal);
  check_end();
}

void Serving::check_end() {
  Outcome o = process_.wait(seconds(20));
  INFO(o.err);
  CHECK_FALSE(o.timed_out);
  CHECK(o.exit_code == 0);
  CHECK_FALSE(std::filesystem::exists(endpoint()));
  CHECK(wait_until([&] { return process_.family().empty(); }, seconds(5)));
}

Json greedy(int max_tokens, bool stream) {
  return {{"prompt", "The kernel"},
          {"max_tokens", max_tokens},
          {"temperature", 0},
          {"ignore_eos", true},
          {"stream", stream}};
}

std::vector<std::string> events_of(const std::string& body) {
  std::vector<std::string> events;
  for (const std::string& line : lines_of(body))
    if (line.starts_with("data: ")) events.push_back(line.substr(6));
  return events;
}

std::string text_of(const std::vector<std::string>& events) {
  std::string text;
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    Json chunk = Json::parse(event);
    for (const Json& c : chunk["choices"])
      text += c.contains("text") ? c["text"].get<std::string>() : c["delta"].value("content", "");
  }
  return text;
}

}  // namespace ll::test
