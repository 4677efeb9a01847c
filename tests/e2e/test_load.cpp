// A server under load: many streams at once, clients that leave, others that make no sense. For
// longer than a test may take: LITELANG_LOAD_STREAMS=500 LITELANG_LOAD_SECONDS=60
// LITELANG_LOAD_MALFORMED=10000.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstdlib>
#include <future>
#include <random>
#include <thread>

#include "perf/serve_load/load.h"
#include "tests/e2e/serving.h"

using namespace ll::test;
using std::chrono::seconds;

namespace {

using Random = std::mt19937;

int number_of(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : otherwise;
}

// Answers of 1 to 30 tokens; every fifth client leaves on its way.
std::vector<ll::LoadRequest> load_of(int count, Random& random) {
  std::vector<ll::LoadRequest> requests;
  for (int i = 0; i < count; ++i) {
    Json body = greedy(1 + static_cast<int>(random() % 30), true);
    std::vector<int> prompt(1 + random() % 100);
    for (int& id : prompt) id = static_cast<int>(100 + random() % 400);
    body["prompt"] = prompt;
    requests.push_back({.body = body.dump()});
    if (random() % 5 == 0) requests.back().leave_after = static_cast<int64_t>(random() % 20);
  }
  return requests;
}

// Bytes that are no good request.
std::string malformed(Random& random) {
  std::string good = http_request("POST", "/v1/completions", greedy(4).dump());
  auto body = [](std::string_view text) { return http_request("POST", "/v1/completions", text); };
  switch (random() % 7) {
    case 0:
      return body(greedy(4).dump().substr(0, 1 + random() % 40));
    case 1:
      return body(R"({"prompt": ["a", 7], "max_tokens": "many"})");
    case 2:
      return body(std::string(20'000, '['));
    case 3:
      return http_request("POST", "/v1/completions", "{}", "Transfer-Encoding: sideways\r\n");
    case 4:
      return http_request("GET", "/v1/" + std::string(random() % 50'000, 'x'));
    case 5: {
      for (int i = 0; i < 3; ++i) good[random() % 20] = static_cast<char>(random());
      return good;
    }
    default: {
      std::string noise(1 + random() % 300, ' ');
      for (char& c : noise) c = static_cast<char>(random());
      return noise + "\r\n\r\n";
    }
  }
}

// Sends so many of them, evenly over the time; the fault is always the client's.
void send_malformed(const Serving& server, int count, double duration) {
  Random random(7);
  for (int sent = 0; sent < count; ++sent) {
    std::this_thread::sleep_for(std::chrono::duration<double>(duration / count / 2));
    std::string bytes = malformed(random);
    HttpClient client(server.port());
    client.send(random() % 8 == 0 ? bytes.substr(0, bytes.size() / 2) : bytes);
    client.end_sending();
    try {
      int status = client.read_head().status;
      INFO(bytes);
      CHECK(((status >= 200 && status < 500) || status == 501 || status == 505));
    } catch (const std::runtime_error&) {  // half a request has no answer
    }
  }
}

double resident_mb(pid_t pid) {
  for (const std::string& line : lines_of(read_file(fmt::format("/proc/{}/status", pid))))
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  return -1;
}

struct Round {
  int whole = 0, left = 0;
};

// All streams come whole but those whose clients leave.
Round run_round(const Serving& server, int streams, double duration, int num_malformed,
                Random& random) {
  ll::LoadTarget target{.port = std::to_string(server.port())};
  ll::LoadLimits limits{.streams = streams, .last_start = duration};
  auto requests = load_of(static_cast<int>(200 * duration) + streams, random);
  auto load =
      std::async(std::launch::async, [&] { return ll::run_load(target, requests, limits); });
  send_malformed(server, num_malformed, duration);
  Round round;
  for (const ll::LoadAnswer& answer : load.get()) {
    if (!answer.was_sent) continue;
    CHECK(answer.error == "");
    ++(answer.has_left ? round.left : round.whole);
  }
  CHECK(server.becomes("num_requests_running", 0, seconds(5)));
  CHECK(server.becomes("num_requests_waiting", 0, seconds(5)));
  CHECK(server.becomes("kv_cache_usage_perc", 0, seconds(5)));
  return round;
}

}  // namespace

TEST_CASE("many streams, clients that leave and malformed requests: nothing is lost or leaked") {
  int streams = number_of("LITELANG_LOAD_STREAMS", 100);
  int duration = number_of("LITELANG_LOAD_SECONDS", 5);
  int num_malformed = number_of("LITELANG_LOAD_MALFORMED", 200);
  // Little memory, so that all of it has been touched when the first round is over.
  Serving server({"--max_batch_size", "32", "--max_reqs", "1000", "--set",
                  "kv_cache.memory_bytes=10MB", "--set", "scheduler.max_num_batched_tokens=256"});
  Random random(3);
  double before = 0, after = 0;
  for (int i = 0; i < 2; ++i) {
    Round round = run_round(server, streams, duration, num_malformed, random);
    before = after, after = resident_mb(server.process().rank(0));
    MESSAGE(fmt::format("{} streams whole, {} left, {} malformed, {:.1f} MB", round.whole,
                        round.left, num_malformed, after));
    CHECK(round.whole + round.left >= streams);
    CHECK(round.left > streams / 10);
  }
  CHECK(after < before + 4);
  CHECK(text_of(events_of(server.ask("/v1/completions", greedy(11, true)).body)) ==
        " is not aware of the fact that the kernel is not");
  server.end();
}
