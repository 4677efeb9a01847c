// litelang serve and its clients, over loopback.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <csignal>

#include "perf/serve_load/load.h"
#include "tests/e2e/serving.h"
#include "tests/support/errors.h"

using namespace ll::test;
using std::chrono::seconds;

namespace {

void check_answers(const Serving& server) {
  Json plain = server.answer("/v1/completions", greedy(11));
  CHECK(plain["choices"][0]["text"] == " is not aware of the fact that the kernel is not");
  CHECK(plain["usage"]["completion_tokens"] == 11);
  HttpReply stream = server.ask("/v1/completions", greedy(11, true));
  CHECK(stream.headers["content-type"].starts_with("text/event-stream"));
  auto events = events_of(stream.body);
  CHECK(events.size() > 5);
  CHECK(events.back() == "[DONE]");
  CHECK(text_of(events) == plain["choices"][0]["text"]);
  Json question{{"messages", {{{"role", "user"}, {"content", "What is fork()?"}}}},
                {"max_tokens", 9},
                {"temperature", 0}};
  // From a prompt that is cached, as the stream's: bfloat16 may decide otherwise without.
  server.answer("/v1/chat/completions", question);
  Json chat = server.answer("/v1/chat/completions", question);
  question["stream"] = true;
  question["stream_options"] = {{"include_usage", true}};
  events = events_of(server.ask("/v1/chat/completions", question).body);
  CHECK(text_of(events) == chat["choices"][0]["message"]["content"]);
  Json usage = Json::parse(events.at(events.size() - 2))["usage"];
  CHECK(usage["total_tokens"] == chat["usage"]["total_tokens"]);
}

}  // namespace

TEST_CASE("the original's command line serves completions and chats on two ranks") {
  Serving server({"--tp", "2", "--max_output_length", "3000", "--max_input_length", "2000",
                  "--max_batch_size", "8", "--mem_usage", "0.5", "--max_reqs", "1000.0",
                  "--busy_scale", "0.6", "--use_radix_cache", "True"});
  check_answers(server);
  CHECK(server.get("/health").body.find("ok") != std::string::npos);
  CHECK(Json::parse(server.get("/v1/models").body)["data"][0]["id"] == "tiny-qwen2-docs.h5");
  std::string text =
      server.answer("/generate", {{"prompt", "The kernel"}, {"max_tokens", 5}})["result"][0];
  CHECK(text == " is not aware of the");
  CHECK(server.becomes("num_requests_running", 0));
  CHECK(server.becomes("kv_cache_usage_perc", 0));
  server.end();
}

TEST_CASE("replicas serve as one does") {
  Serving server({"--dp", "2", "--max_batch_size", "4"});
  check_answers(server);
  {
    std::vector<std::unique_ptr<HttpClient>> clients;
    for (int i = 0; i < 8; ++i) {
      clients.push_back(std::make_unique<HttpClient>(server.port()));
      clients.back()->send(http_request("POST", "/v1/completions", greedy(3000, true).dump()));
    }
    CHECK(server.becomes("num_requests_running", 8));
  }
  CHECK(server.becomes("num_requests_running", 0, seconds(3)));
  CHECK(server.becomes("kv_cache_usage_perc", 0, seconds(3)));
  server.end();
}

TEST_CASE("errors are OpenAI's, and the server goes on") {
  Serving server({"--set", "server.api_key=secret", "--served-model-name", "tiny"});
  std::string key = "Authorization: Bearer secret\r\n";
  CHECK(server.ask("/v1/completions", greedy(1)).status == 401);
  CHECK(server.ask("/v1/completions", greedy(1), "Authorization: Bearer secre\r\n").status == 401);
  auto refused = [&](const Json& fields, int status, const Json& param) {
    Json body = greedy(1);
    body.update(fields);
    HttpReply reply = server.ask("/v1/completions", body, key);
    INFO(reply.body);
    CHECK(reply.status == status);
    Json error = Json::parse(reply.body)["error"];
    CHECK(error["param"] == param);
    CHECK(error["message"].is_string());
    CHECK(error.contains("code"));
  };
  refused({{"temperature", "hot"}}, 400, "temperature");
  refused({{"prompt", Json::array()}}, 400, "prompt");
  refused({{"stream", 7}}, 400, "stream");
  refused({{"model", "other"}}, 404, "model");
  CHECK(server.ask("/v1/nowhere", {}, key).status == 404);
  HttpClient client(server.port());
  CHECK(client.ask("GET", "/v1/completions", "", key).headers["allow"] == "POST");
  CHECK(client.ask("POST", "/v1/completions", "{", key).status == 400);
  CHECK(client.ask("POST", "/v1/completions", R"({"prompt": "a", "model": "tiny", "odd": 1})", key)
            .status == 200);
  server.end(SIGINT);
}

TEST_CASE("clients that leave free their places, and those beyond the limit are refused") {
  Serving server({"--max_batch_size", "2", "--max_reqs", "2"});
  {
    std::vector<std::unique_ptr<HttpClient>> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(std::make_unique<HttpClient>(server.port()));
      clients.back()->send(
          http_request("POST", "/v1/completions", greedy(3000, i % 2 == 0).dump()));
    }
    CHECK(server.becomes("num_requests_running", 2));
    CHECK(server.becomes("num_requests_waiting", 2));
    HttpReply refused = server.ask("/v1/completions", greedy(1));
    CHECK(refused.status == 429);
    CHECK(refused.headers["retry-after"] == "1");
  }
  CHECK(server.becomes("num_requests_running", 0, seconds(3)));
  CHECK(server.becomes("num_requests_waiting", 0, seconds(3)));
  CHECK(server.becomes("kv_cache_usage_perc", 0, seconds(3)));
  double tokens = server.metric("generation_tokens_total");
  CHECK(tokens < 4 * 3000);
  check_answers(server);
  server.end();
}

TEST_CASE("requests of a lower priority number begin before those that came earlier") {
  Serving server({"--max_batch_size", "1"});
  auto ask = [&](HttpClient& client, int max_tokens, int priority) {
    Json body = greedy(max_tokens);
    body["priority"] = priority;
    client.send(http_request("POST", "/v1/completions", body.dump()));
  };
  HttpClient first(server.port()), later(server.port()), urgent(server.port());
  ask(first, 400, 0);
  CHECK(server.becomes("num_requests_running", 1));
  ask(later, 400, 1);
  CHECK(server.becomes("num_requests_waiting", 1));
  ask(urgent, 10, -1);
  CHECK(server.becomes("num_requests_waiting", 2));
  CHECK(urgent.read_reply().status == 200);
  CHECK(server.metric("generation_tokens_total") < 600);  // the later one has hardly begun
  CHECK(later.read_reply().status == 200);
  CHECK(first.read_reply().status == 200);
  server.end();
}

TEST_CASE(
    "a long prompt is read while others are answered; who asks for readiness shares a probe") {
  Serving server;
  std::vector<std::unique_ptr<HttpClient>> askers;
  for (int i = 0; i < 8; ++i) {
    askers.push_back(std::make_unique<HttpClient>(server.port()));
    askers.back()->send(http_request("GET", "/health/ready"));
  }
  for (auto& asker : askers) CHECK(asker->read_reply().status == 200);
  CHECK(server.metric("prompt_tokens_total") == 1);
  std::string text;
  while (text.size() < 8'000'000) text += "The kernel counts words, and no two are alike: ";
  HttpClient slow(server.port());
  slow.send(http_request("POST", "/tokenize", Json{{"prompt", text}}.dump()));
  Json body = greedy(1);
  body["prompt"] = text;
  HttpReply refused = server.ask("/v1/completions", body);
  CHECK(refused.status == 400);
  CHECK(Json::parse(refused.body)["error"]["param"] == "prompt");
  CHECK(Json::parse(slow.read_reply().body)["count"] > 1'000'000);
  CHECK(server.answer("/v1/completions", greedy(11))["usage"]["completion_tokens"] == 11);
  server.end();
}

TEST_CASE("a server that is told to end finishes its answers and takes no more") {
  Serving server({"--tp", "2", "--shutdown_timeout", "200"});
  HttpClient client(server.port()), idle(server.port());
  client.send(http_request("POST", "/v1/completions", greedy(600, true).dump()));
  CHECK(client.read_head().status == 200);
  server.process().signal(SIGTERM);
  CHECK(wait_until([&] { return server.ask("/v1/completions", greedy(1)).status == 503; },
                   seconds(5)));
  std::string body;
  for (std::string piece; !(piece = client.read_chunk()).empty();) body += piece;
  CHECK(events_of(body).back() == "[DONE]");
  CHECK(body.find("\"length\"") != std::string::npos);
  Outcome o = server.process().wait(seconds(20));
  INFO(o.err);
  CHECK(o.exit_code == 0);
}

TEST_CASE("a server is told to end by litelang itself, where mpirun hands no signal on") {
  Serving server({"--tp", "2"});
  pid_t mpirun = parent_of(server.process().rank(0));
  REQUIRE(mpirun > 1);
  kill(mpirun, SIGSTOP);
  server.process().signal(SIGTERM);
  CHECK(wait_until([&] { return !std::filesystem::exists(server.endpoint()); }, seconds(20)));
  // The ranks are gone only when mpirun knows. Those who are asked again meanwhile end well, too.
  kill(mpirun, SIGCONT);
  for (int rank : {0, 1}) CHECK(server.process().signal_until_gone(rank, SIGUSR1, seconds(20)));
  server.check_end();
}

TEST_CASE("answers that are not complete in time end with an error") {
  Serving server({"--shutdown_timeout", "1"});
  HttpClient client(server.port());
  client.send(http_request("POST", "/v1/completions", greedy(3500, true).dump()));
  CHECK(client.read_head().status == 200);
  server.end();
  std::string body;
  for (std::string piece; !(piece = client.read_chunk()).empty();) body += piece;
  CHECK(body.find("server_error") != std::string::npos);
  CHECK(events_of(body).back() == "[DONE]");
}

TEST_CASE("a rank that dies or stops ends all streams with an error") {
  int signal = 0;
  SUBCASE("dies") { signal = SIGKILL; }
  SUBCASE("stops") { signal = SIGSTOP; }
  Serving server({"--tp", "2", "--set", "step_timeout_s=2"});
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(std::make_unique<HttpClient>(server.port()));
    clients.back()->send(http_request("POST", "/v1/completions", greedy(1200, true).dump()));
  }
  for (auto& client : clients) {
    CHECK(client->read_head().status == 200);
    CHECK_FALSE(client->read_chunk().empty());
  }
  auto start = std::chrono::steady_clock::now();
  kill(server.process().rank(1), signal);
  for (auto& client : clients) {
    std::string body;
    for (std::string piece; !(piece = client->read_chunk()).empty();) body += piece;
    CHECK(body.find("rank 1") != std::string::npos);
    CHECK(events_of(body).back() == "[DONE]");
  }
  CHECK(std::chrono::steady_clock::now() - start < seconds(10));  // the watchdog's 2 among them
  Outcome o = server.process().wait(seconds(20));
  INFO(o.err);
  CHECK_FALSE(o.timed_out);
  CHECK(o.exit_code != 0);
}

TEST_CASE("with a certificate the server speaks TLS and nothing else") {
  TempFolder folder;
  std::string cert = folder.path("cert.pem"), key = folder.path("key.pem");
  Outcome made = run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                      "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert});
  INFO(made.err);
  REQUIRE(made.exit_code == 0);
  auto with = [](const std::string& certificate, const std::string& its_key) {
    return std::vector<std::string>{"--set", "server.tls_cert=" + certificate, "--set",
                                    "server.tls_key=" + its_key};
  };
  Serving server(with(cert, key));
  CHECK(read_file(server.endpoint()).starts_with("https://"));
  std::string requests = http_request("POST", "/v1/completions", greedy(11, true).dump()) +
                         http_request("POST", "/v1/completions", greedy(11).dump()) +
                         http_request("GET", "/health", "", "Connection: close\r\n");
  Outcome o = run({"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", cert,
                   "-connect", fmt::format("127.0.0.1:{}", server.port())},
                  {.input = requests});
  INFO(o.err);
  CHECK(o.exit_code == 0);
  CHECK(o.out.find("[DONE]") != std::string::npos);
  CHECK(o.out.find(" is not aware of the fact that the kernel is not") != std::string::npos);
  CHECK(o.out.ends_with(R"({"status":"ok"})"));
  HttpClient plain(server.port());
  plain.send(http_request("GET", "/health"));
  CHECK_THROWS(plain.read_reply());
  // The load generator's client, which trusts the certificate when it is told to.
  auto load = [&](bool checks_certificate) {
    ll::LoadTarget target{.port = std::to_string(server.port()),
                          .is_tls = true,
                          .checks_certificate = checks_certificate};
    return ll::run_load(target, {{.body = greedy(11, true).dump()}}, {}).at(0);
  };
  CHECK(load(false).is_whole());
  CHECK(contains(load(true).error, "certificate verify failed"));
  ::setenv("SSL_CERT_FILE", cert.c_str(), 1);
  CHECK(load(true).is_whole());
  ::unsetenv("SSL_CERT_FILE");
  server.end();
  auto refused = [&](const std::vector<std::string>& arguments, const char* why) {
    std::vector<std::string> command = {program("litelang"), "--model_path",
                                        model_file("tiny-qwen2-docs"), "--backend", "cpu"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    Outcome end = run(command);
    INFO(end.err);
    CHECK(end.exit_code != 0);
    CHECK(end.err.find(why) != std::string::npos);
  };
  refused(with(cert, cert), "server.tls_key = ");
  refused(with(folder.path("none.pem"), key), "server.tls_cert = ");
  refused({"--set", "server.tls_cert=" + cert}, "server.tls_key is missing");
}

TEST_CASE("what a server says of itself, and the tokens of texts") {
  Serving server({"--tp", "2"});
  auto get = [&](const std::string& path) {
    HttpReply reply = server.get(path);
    INFO(path);
    CHECK(reply.status == 200);
    return Json::parse(reply.body);
  };
  Json model = get("/v1/models")["data"][0];
  CHECK(model["id"] == "tiny-qwen2-docs.h5");
  CHECK(model["root"] == model_file("tiny-qwen2-docs"));
  CHECK(model["max_model_len"] > 1000);
  CHECK(get("/v1/models/tiny-qwen2-docs.h5")["id"] == model["id"]);
  CHECK(server.get("/v1/models/other").status == 404);
  CHECK(get("/version")["version"].is_string());
  CHECK(get("/health")["status"] == "ok");
  CHECK(get("/health/ready")["status"] == "ready");
  CHECK(get("/tokenizer_info")["max_model_len"] == model["max_model_len"]);
  Json tokens = server.answer("/tokenize", {{"prompt", "The kernel"}});
  CHECK(tokens["count"] == tokens["tokens"].size());
  CHECK(server.answer("/detokenize", {{"tokens", tokens["tokens"]}})["prompt"] == "The kernel");
  HttpReply stream = server.ask("/generate_stream", {{"prompt", "The kernel"}, {"max_tokens", 5}});
  std::string text;
  for (const std::string& line : lines_of(stream.body))
    if (!line.empty()) text += Json::parse(line)["generated_text"].get<std::string>();
  CHECK(text == " is not aware of the");
  std::string metrics = server.get("/metrics").body;
  for (const char* name : {"rank_step_seconds", "rank_collective_seconds", "rank_wait_seconds"})
    CHECK(
        metrics.find(fmt::format("\nlitelang:{}_count{{engine=\"0\",model_name=\"{}\",rank=\"1\"}}",
                                 name, model["id"].get<std::string>())) != std::string::npos);
  CHECK(server.metric("step_skew_seconds_count") >= 5);
  server.end();
}

TEST_CASE("a server writes down its requests and its steps, and listens on a Unix socket") {
  TempFolder folder;
  std::string log = folder.path("access"), trace = folder.path("trace"),
              socket = folder.path("socket"), endpoint = folder.path("endpoint");
  std::vector<std::string> command = {
      program("litelang"), "--model_path", model_file("tiny-qwen2-docs"), "--backend", "cpu",
      "--endpoint_file",   endpoint};
  for (const std::string& value :
       {"server.access_log=" + log, "server.trace=" + trace, "server.unix_socket=" + socket,
        std::string("server.trace_steps=10"), std::string("server.metrics_prefix=vllm"),
        std::string("threads=1"), std::string("kv_cache.memory_bytes=40MB")}) {
    command.push_back("--set");
    command.push_back(value);
  }
  Process process(command);
  REQUIRE(wait_until([&] { return std::filesystem::exists(endpoint); }, seconds(60)));
  CHECK(read_file(endpoint) == "unix:" + socket + "\n");
  HttpClient client(socket);
  CHECK(client.ask("POST", "/v1/completions", greedy(20).dump()).status == 200);
  std::string metrics = client.ask("GET", "/metrics").body;
  CHECK(metrics.find("vllm:generation_tokens_total{engine=\"0\",model_name=") != std::string::npos);
  process.signal(SIGTERM);
  Outcome o = process.wait(seconds(20));
  INFO(o.err);
  CHECK(o.exit_code == 0);
  CHECK_FALSE(std::filesystem::exists(socket));
  Json request = Json::parse(lines_of(read_file(log)).at(0));
  CHECK(request["outcome"] == "length");
  CHECK(request["completion_tokens"] == 20);
  Json steps = Json::parse(read_file(trace));
  CHECK(steps.size() == 10);
  CHECK(steps[9]["name"].get<std::string>().ends_with("(1 rows)"));
}
