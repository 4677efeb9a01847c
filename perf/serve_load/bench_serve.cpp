// usage: bench_serve [--base-url URL] [--request-rate R] ..., see --help
// Streams of random prompts from any server of OpenAI's API, at Poisson times: how long tokens
// take. The flags and the results are those of `vllm bench serve`.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "perf/serve_load/load_report.h"
#include "perf/serve_load/workload.h"

namespace {

using namespace ll;
using Json = nlohmann::ordered_json;

struct Options {
  std::string base_url = "http://127.0.0.1:8000", endpoint = "/v1/completions";
  Workload work;
  int64_t max_concurrency = 0;
  bool insecure = false;
  std::string result_filename;
};

Options parse(int argc, char** argv) {
  Options o;
  CLI::App app{"Streams of random prompts from any server of OpenAI's API."};
  app.add_option("--base-url", o.base_url)->capture_default_str();
  app.add_option("--endpoint", o.endpoint, "of completions or chat completions")
      ->capture_default_str();
  app.add_option("--model", o.work.model, "default: the first that the server names");
  app.add_option("--num-prompts", o.work.num_prompts)
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000'000));
  app.add_option("--request-rate", o.work.rate, "a second, at Poisson times; inf: all at once")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--max-concurrency", o.max_concurrency, "streams at a time; 0: any number")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--random-input-len", o.work.input_len, "tokens of a prompt")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--random-output-len", o.work.output_len, "tokens of an answer at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--random-range-ratio", o.work.range_ratio,
                 "lengths differ by this share of them, up and down")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.999));
  app.add_option("--temperature", o.work.temperature)->capture_default_str();
  app.add_flag("--ignore-eos", o.work.ignore_eos, "answers are as long as they may be");
  app.add_flag(
      "--insecure", o.insecure,
      "any certificate of an https server will do; else the system's, or those of the file "
      "SSL_CERT_FILE, must vouch for it");
  app.add_option("--seed", o.work.seed)->capture_default_str();
  app.add_option("--result-filename", o.result_filename, "a file for the results as JSON");
  app.footer("The key of the server, if it asks for one: OPENAI_API_KEY in the environment.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e) == 0 ? 0 : 2);
  }
  return o;
}

std::string first_model(const LoadTarget& target) {
  Json models = Json::parse(get(target, "/v1/models"), nullptr, false);
  check(models.is_object() && !models.value("data", Json::array()).empty(),
        "/v1/models names no model; give --model");
  return models["data"][0]["id"];
}

// Fields that tell runs apart, before the results.
Json describe(const Options& o) {
  std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%Y%m%d-%H%M%S", std::localtime(&now));
  Json rate = std::isinf(o.work.rate) ? Json("inf") : Json(o.work.rate);
  return {{"date", date},
          {"model_id", o.work.model},
          {"num_prompts", o.work.num_prompts},
          {"request_rate", rate},
          {"max_concurrency", o.max_concurrency > 0 ? Json(o.max_concurrency) : Json()}};
}

int run(Options o) {
  LoadTarget target = parse_target(o.base_url, o.endpoint);
  target.checks_certificate = !o.insecure;
  if (const char* key = std::getenv("OPENAI_API_KEY")) target.api_key = key;
  if (o.work.model.empty()) o.work.model = first_model(target);
  o.work.is_chat = o.endpoint.find("chat") != std::string::npos;
  LoadLimits limits;
  if (o.max_concurrency > 0) limits.streams = o.max_concurrency;
  std::vector<LoadRequest> requests = make_workload(o.work);
  LoadAnswer first = run_load(target, {requests.at(0)}, {}).at(0);  // is it there, is it warm
  check(first.error.empty(), "{}{}: {}", o.base_url, o.endpoint, first.error);
  LoadReport report = report_load(run_load(target, requests, limits));
  fmt::print("{}", report.text());
  if (!o.result_filename.empty()) {
    Json all = describe(o);
    all.update(report.json());
    std::ofstream out(o.result_filename);
    out << all.dump() << '\n';
    check(out.flush().good(), "{}: cannot be written", o.result_filename);
  }
  return report.failed > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) try {
  return run(parse(argc, argv));
} catch (const std::exception& e) {
  fmt::print(stderr, "bench_serve: {}\n", e.what());
  return 1;
}
