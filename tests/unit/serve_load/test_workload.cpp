#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "perf/serve_load/workload.h"

using namespace ll;
using doctest::Approx;
using Json = nlohmann::json;

TEST_CASE("requests come at Poisson times, the same for the same seed") {
  Workload work{.model = "m", .num_prompts = 4000, .rate = 20, .input_len = 3, .output_len = 7};
  auto requests = make_workload(work);
  REQUIRE(requests.size() == 4000);
  CHECK(requests[0].start == 0);
  double sum = 0, squares = 0;
  for (size_t i = 1; i < requests.size(); ++i) {
    double gap = requests[i].start - requests[i - 1].start;
    CHECK(gap >= 0);
    sum += gap, squares += gap * gap;
  }
  double mean = sum / 3999;
  CHECK(mean == Approx(0.05).epsilon(0.05));
  CHECK(squares / 3999 == Approx(2 * mean * mean).epsilon(0.1));  // as exponential gaps have it
  CHECK(make_workload(work)[77].body == requests[77].body);
  work.seed = 1;
  CHECK(make_workload(work)[77].body != requests[77].body);
  work.rate = std::numeric_limits<double>::infinity();
  CHECK(make_workload(work)[3999].start == 0);
}

TEST_CASE("bodies are of completions or chats") {
  Workload work{.model = "m", .num_prompts = 2, .input_len = 3, .output_len = 7};
  Json body = Json::parse(make_workload(work)[0].body);
  CHECK(body["model"] == "m");
  CHECK(body["prompt"].size() == 3);
  for (const Json& id : body["prompt"]) CHECK((id >= 100 && id < 500));
  CHECK(body["max_tokens"] == 7);
  CHECK(body["stream_options"]["include_usage"] == true);
  CHECK_FALSE(body.contains("ignore_eos"));
  work.is_chat = true, work.ignore_eos = true;
  body = Json::parse(make_workload(work)[1].body);
  std::string words = body["messages"][0]["content"];
  CHECK(std::count(words.begin(), words.end(), ' ') == 2);
  CHECK(body["ignore_eos"] == true);
}

TEST_CASE("lengths keep to their range") {
  Workload work{.num_prompts = 300, .input_len = 10, .output_len = 20, .range_ratio = 0.5};
  size_t least = 1000, most = 0;
  for (const LoadRequest& request : make_workload(work)) {
    Json body = Json::parse(request.body);
    least = std::min(least, body["prompt"].size()), most = std::max(most, body["prompt"].size());
    CHECK((body["max_tokens"] >= 10 && body["max_tokens"] <= 30));
  }
  CHECK(least == 5);
  CHECK(most == 15);
}

TEST_CASE("addresses") {
  LoadTarget t = parse_target("http://node7:8123/", "/v1/completions");
  CHECK(t.host == "node7");
  CHECK(t.port == "8123");
  CHECK(t.path == "/v1/completions");
  t = parse_target("http://node7/litelang/", "/v1/completions");
  CHECK(t.port == "80");
  CHECK(t.path == "/litelang/v1/completions");
  CHECK_FALSE(t.is_tls);
  t = parse_target("https://node7", "/v1/completions");
  CHECK(t.is_tls);
  CHECK(t.port == "443");
  CHECK(t.origin() == "https://node7:443");
  for (const char* wrong :
       {"", "node7:8000", "ftp://node7", "http://", "https://", "http://:80", "http://a:"})
    CHECK_THROWS_AS(parse_target(wrong, "/x"), Error);
}
