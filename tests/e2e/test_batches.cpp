// /v1/files and /v1/batches of litelang serve.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <set>

#include "tests/e2e/serving.h"

using namespace ll::test;
using std::chrono::seconds;

namespace {

constexpr const char* kFormat = "multipart/form-data; boundary=xYz";

std::vector<std::string> with_folder(const TempFolder& folder,
                                     const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = {"--set", "server.batch_dir=" + folder.path("batches")};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::string form(const std::string& purpose, const std::string& text) {
  return "--xYz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n" + purpose +
         "\r\n--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n"
         "Content-Type: application/octet-stream\r\n\r\n" +
         text + "\r\n--xYz--\r\n";
}

HttpReply send_file(const Serving& server, const std::string& body,
                    const std::string& type = kFormat) {
  HttpClient client(server.port());
  client.send(fmt::format(
      "POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n", type,
      body.size()));
  client.send(body);
  return client.read_reply();
}

std::string upload(const Serving& server, const std::vector<Json>& lines) {
  HttpReply reply = send_file(server, form("batch", jsonl(lines)));
  INFO(reply.body);
  REQUIRE(reply.status == 200);
  Json file = Json::parse(reply.body);
  CHECK(file["bytes"] == jsonl(lines).size());
  CHECK(file["filename"] == "in.jsonl");
  return file["id"];
}

Json create(const Serving& server, const std::string& file) {
  return server.answer("/v1/batches", {{"input_file_id", file},
                                       {"endpoint", "/v1/completions"},
                                       {"completion_window", "24h"},
                                       {"metadata", {{"for", "a test"}}}});
}

Json look(const Serving& server, const std::string& id) {
  return Json::parse(server.get("/v1/batches/" + id).body);
}

// The batch once it has a status.
Json when(const Serving& server, const std::string& id, const std::string& status) {
  Json batch;
  bool is_there = wait_until(
      [&] {
        batch = look(server, id);
        return batch["status"] == status;
      },
      seconds(60));
  INFO(batch.dump());
  CHECK(is_there);
  return batch;
}

std::vector<Json> content(const Serving& server, const Json& file) {
  HttpReply reply = server.get("/v1/files/" + file.get<std::string>() + "/content");
  REQUIRE(reply.status == 200);
  std::vector<Json> lines;
  for (const std::string& line : lines_of(reply.body)) lines.push_back(Json::parse(line));
  return lines;
}

Json request(const std::string& id, int max_tokens) {
  return completion(id, "The kernel",
                    {{"max_tokens", max_tokens}, {"temperature", 0}, {"ignore_eos", true}});
}

std::vector<Json> greedy_requests(int count, int max_tokens) {
  std::vector<Json> lines;
  for (int i = 0; i < count; ++i) lines.push_back(request(fmt::format("r{}", i), max_tokens));
  return lines;
}

}  // namespace

TEST_CASE("a batch is sent, run beside clients, and read") {
  TempFolder folder;
  Serving server(with_folder(folder, {"--tp", "2", "--max_batch_size", "4"}));
  std::vector<Json> lines = greedy_requests(20, 11);
  lines.push_back(completion("hot", "a", {{"temperature", "hot"}}));
  lines.push_back(completion("other", "a", {{"model", "other"}}));
  std::string file = upload(server, lines);
  Json batch = create(server, file);
  CHECK(batch["object"] == "batch");
  CHECK(batch["status"] == "validating");
  CHECK(batch["metadata"]["for"] == "a test");
  std::string text = server.answer("/v1/completions", greedy(11))["choices"][0]["text"];
  batch = when(server, batch["id"], "completed");
  CHECK(batch["request_counts"] == Json({{"total", 22}, {"completed", 20}, {"failed", 2}}));
  CHECK(batch["completed_at"] >= batch["created_at"]);
  std::set<std::string> ids;
  for (const Json& line : content(server, batch["output_file_id"])) {
    ids.insert(line["custom_id"]);
    CHECK(line["response"]["status_code"] == 200);
    CHECK(line["response"]["body"]["choices"][0]["text"] == text);
  }
  CHECK(ids.size() == 20);
  std::vector<Json> errors = content(server, batch["error_file_id"]);
  CHECK(errors.size() == 2);
  for (const Json& line : errors) CHECK(line["error"]["message"].is_string());
  CHECK(Json::parse(server.get("/v1/batches?limit=1").body)["data"][0]["id"] == batch["id"]);
  Json files = Json::parse(server.get("/v1/files").body);
  CHECK(files["data"].size() == 3);
  HttpClient client(server.port());
  CHECK(Json::parse(client.ask("DELETE", "/v1/files/" + file).body)["deleted"] == true);
  CHECK(server.get("/v1/files/" + file).status == 404);
  CHECK(server.becomes("kv_cache_usage_perc", 0));
  server.end();
}

TEST_CASE(
    "a batch goes on where the server before ended; one that is cancelled keeps its answers") {
  TempFolder folder;
  std::string id;
  {
    Serving server(with_folder(folder, {"--max_batch_size", "4"}));
    id = create(server, upload(server, greedy_requests(40, 150)))["id"];
    CHECK(wait_until([&] { return look(server, id)["request_counts"]["completed"] > 3; },
                     seconds(60)));
    server.end();
  }
  Serving server(with_folder(folder, {"--max_batch_size", "4"}));
  Json batch = when(server, id, "completed");
  CHECK(batch["request_counts"] == Json({{"total", 40}, {"completed", 40}, {"failed", 0}}));
  CHECK(batch["error_file_id"].is_null());
  std::set<std::string> ids;
  for (const Json& line : content(server, batch["output_file_id"])) ids.insert(line["custom_id"]);
  CHECK(ids.size() == 40);
  CHECK(server.metric("generation_tokens_total") < 38 * 150);  // some were answered before

  std::string file = upload(server, greedy_requests(200, 300));
  id = create(server, file)["id"];
  CHECK(
      wait_until([&] { return look(server, id)["request_counts"]["completed"] > 0; }, seconds(60)));
  HttpClient client(server.port());
  CHECK(client.ask("DELETE", "/v1/files/" + file).status == 400);  // it is in use
  CHECK(server.ask("/v1/batches/" + id + "/cancel", Json::object()).status == 200);
  batch = when(server, id, "cancelled");
  CHECK(content(server, batch["output_file_id"]).size() == batch["request_counts"]["completed"]);
  CHECK(server.ask("/v1/batches/" + id + "/cancel", Json::object()).status == 400);
  CHECK(server.becomes("num_requests_running", 0));
  server.end();
}

TEST_CASE("files and batches that are none are refused") {
  TempFolder folder;
  Serving server(with_folder(folder, {"--set", "server.max_file_bytes=1000"}));
  CHECK(send_file(server, form("batch", std::string(2000, 'x'))).status == 413);
  CHECK(send_file(server, form("fine-tune", "x")).status == 400);
  CHECK(send_file(server, "nothing").status == 400);
  CHECK(send_file(server, form("batch", "x"), "application/json").status == 400);
  CHECK(server.ask("/v1/batches", {{"input_file_id", "file-1"}, {"endpoint", "/v1/completions"}})
            .status == 400);
  CHECK(server.get("/v1/batches/batch_1").status == 404);
  CHECK(server.get("/v1/files/..%2F..%2Fetc%2Fpasswd/content").status == 404);
  HttpClient client(server.port());
  CHECK(client.ask("PUT", "/v1/files/file-1").headers["allow"] == "GET, HEAD, DELETE");
  std::string chats = upload(server, {chat("a", "b", Json::object()), Json("no object")});
  Json batch = when(server, create(server, chats)["id"], "failed");
  REQUIRE(batch["errors"]["data"].size() == 2);
  CHECK(batch["errors"]["data"][1]["line"] == 2);
  server.end();
  Serving without;
  CHECK(without.get("/v1/files").status == 404);
  without.end();
}
