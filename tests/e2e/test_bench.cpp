// litelang bench on the CPU: what is asked for runs, and its results have the names others know.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include "tests/e2e/batch.h"
#include "tests/support/errors.h"

using namespace ll::test;

namespace {

// A folder with a config.json and nothing else.
class ShapeFolder {
 public:
  ShapeFolder() {
    folder_.write("config.json", read_file(model_folder("random-hd64") + "/config.json"));
  }
  std::string path() const { return folder_.path(""); }

 private:
  TempFolder folder_;
};

std::vector<std::string> bench(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {program("litelang"), "bench"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

struct Result {
  Outcome outcome;
  Json json;
};

// On a dummy model of two layers.
Result measure(std::vector<std::string> arguments) {
  ShapeFolder model;
  TempFolder folder;
  for (const std::string& word :
       {std::string("--model"), model.path(), std::string("--backend"), std::string("cpu"),
        std::string("--kv-cache-memory-bytes"), std::string("20MB"), std::string("--output-json"),
        folder.path("result.json"), std::string("--set"), std::string("threads=1"),
        std::string("--set"), std::string("step_timeout_s=40")})
    arguments.push_back(word);
  Result r{run(bench(arguments)), {}};
  INFO(r.outcome.err);
  REQUIRE(r.outcome.exit_code == 0);
  auto lines = lines_of(read_file(folder.path("result.json")));
  REQUIRE(lines.size() == 1);
  r.json = Json::parse(lines[0]);
  CHECK(r.json["backend"] == "litelang");
  CHECK(r.json["model_id"] == model.path());
  return r;
}

std::string command_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-m", "m.h5", "--print_command"});
  Outcome o = run(bench(arguments));
  INFO(o.err);
  CHECK(o.exit_code == 0);
  return o.out;
}

}  // namespace

TEST_CASE("help tells kinds, presets and options") {
  Outcome o = run(bench({"--help"}));
  CHECK(o.exit_code == 0);
  for (const char* word :
       {"throughput", "latency", "one-batch", "startup", "grids", "seed-prefill", "seed-decode",
        "nano", "sampled", "logprobs", "shared-prefix", "shared-groups", "choices"})
    CHECK(contains(o.out, word));
  for (const char* kind : {"throughput", "latency", "one-batch", "startup", "grids"}) {
    Outcome of_kind = run(bench({kind, "--help"}));
    CHECK(of_kind.exit_code == 0);
    CHECK(contains(of_kind.out, std::string("Usage: litelang bench ") + kind));
    CHECK(contains(of_kind.out, "--output_json"));
  }
}

TEST_CASE("throughput of random prompts, on two ranks") {
  Result r = measure({"throughput", "--num-prompts", "12", "--input-len", "30", "--output-len=8",
                      "--range-ratio", "0.5", "--max-num-seqs", "4", "--tp", "2", "--temperature",
                      "0.7", "--seed", "3"});
  CHECK(contains(r.outcome.out, "Throughput: "));
  CHECK(contains(r.outcome.out, " Offline Throughput Benchmark Result "));
  CHECK(contains(r.outcome.err, "2 ranks"));
  CHECK(r.json["num_requests"] == 12);
  CHECK(r.json["num_ranks"] == 2);
  CHECK(r.json["total_num_tokens"] ==
        r.json["total_input_tokens"].get<int>() + r.json["total_output_tokens"].get<int>());
  CHECK(r.json["output_throughput"].get<double>() ==
        doctest::Approx(r.json["total_output_tokens"].get<double>() /
                        r.json["elapsed_time"].get<double>()));
}

TEST_CASE("throughput of a shared prefix, with the radix cache and without") {
  std::vector<std::string> common = {"throughput",
                                     "--dataset-name",
                                     "shared-prefix",
                                     "--num-prompts",
                                     "6",
                                     "--prefix-len",
                                     "128",
                                     "--input-len",
                                     "10",
                                     "--output-len",
                                     "4",
                                     "--max-num-seqs",
                                     "6",
                                     "--max-num-batched-tokens",
                                     "256"};
  Result with = measure(common);
  CHECK(with.json["total_input_tokens"] == 6 * 138);
  CHECK(with.json["cached_tokens"] == 5 * 128);
  common.emplace_back("--disable-radix-cache");
  CHECK(measure(common).json["cached_tokens"] == 0);
}

TEST_CASE("throughput of two replicas, and of two on two ranks each") {
  std::vector<std::string> work = {"throughput", "--num-prompts",
                                   "30",         "--input-len",
                                   "30",         "--output-len",
                                   "12",         "--seed",
                                   "3",          "--max-num-batched-tokens",
                                   "128",        "--range-ratio",
                                   "0.5",        "--max-num-seqs",
                                   "3"};
  Result alone = measure(work);
  for (const char* tp : {"1", "2"}) {
    CAPTURE(tp);
    auto arguments = work;
    arguments.insert(arguments.end(), {"--dp", "2", "--tp", tp});
    Result r = measure(arguments);
    CHECK(contains(r.outcome.out, "Replica 1 busy (%):"));
    CHECK(r.json["num_requests"] == 30);
    CHECK(r.json["num_ranks"] == 2 * std::stoi(tp));
    CHECK(r.json["replicas_busy"].size() == 2);
    double idle = r.json["idlest_replica_idle"];
    CHECK(idle >= 0);
    CHECK(idle <= 1);
    // Every request is answered once.
    for (const char* key : {"total_input_tokens", "total_output_tokens"})
      CHECK(r.json[key] == alone.json[key]);
  }
}

TEST_CASE("grids: one after another, with the weights of the one before") {
  std::vector<std::string> work = {"grids", "--batch-size",
                                   "5",     "--input-len",
                                   "24",    "--output-len",
                                   "3",     "--num-iters",
                                   "1",     "--max-num-batched-tokens",
                                   "72"};
  auto with = [&](const std::vector<std::string>& more) {
    auto arguments = work;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return measure(arguments);
  };
  Result r = with({"--grids", "y=2;x=2;z=2,heads=1;y=2,heads=1;dp=2"});
  CHECK(r.json["num_ranks"] == 2);
  CHECK(r.json["prompts"] == 3);
  REQUIRE(r.json["grids"].size() == 5);
  size_t gathered = 0;
  for (const Json& grid : r.json["grids"])
    for (const Json& mode : grid["modes"]) {
      gathered += mode["mode"] == "gathered";
      for (const char* step : {"prefill", "decode_one", "decode_many"}) {
        CHECK(mode["measured"][step] > 0);
        CHECK(mode["predicted"][step] > 0);
      }
    }
  CHECK(gathered == 1);
  CHECK(contains(r.outcome.out, "Best measured: "));
  CHECK(contains(r.outcome.out, "Planner's choice: "));
  CHECK(r.json["choice_share_of_best"].get<double>() <= 1);
  CHECK(with({"--gpus", "2"}).json["grids"].size() >= 4);  // all that fit
}

TEST_CASE("throughput of a file") {
  TempFolder folder;
  std::string file =
      folder.write("data.jsonl",
                   "{\"task_id\": 0, \"input_ids\": [1, 2, 3], \"output_tokens\": 5}\n"
                   "{\"input_ids\": [4], \"output_tokens\": 2}\n");
  Result r =
      measure({"throughput", "--dataset", "jsonl", "--dataset-path", file, "--max-num-seqs", "2"});
  CHECK(r.json["total_input_tokens"] == 4);
  CHECK(r.json["total_output_tokens"] == 7);
}

TEST_CASE("latency of a batch, drawn in every way") {
  Result r = measure({"latency", "--batch-size",
                      "3",       "--input-len",
                      "9",       "--output-len",
                      "4",       "--num-iters",
                      "5",       "--num-iters-warmup",
                      "1",       "--temperature",
                      "0.7",     "--top-p",
                      "0.8",     "--top-k",
                      "20",      "--min-p",
                      "0.01",    "--repetition-penalty",
                      "1.05",    "--presence-penalty",
                      "0.1",     "--frequency-penalty",
                      "0.1",     "--logprobs",
                      "5"});
  CHECK(contains(r.outcome.out, "Avg latency: "));
  CHECK(contains(r.outcome.out, "99% percentile latency: "));
  CHECK(r.json["latencies"].size() == 5);
  CHECK(r.json["percentiles"].size() == 6);
}

TEST_CASE("one batch, with its step of prompts as large as it needs") {
  TempFolder folder;
  std::string trace = folder.path("trace.json");
  Result r = measure({"one-batch", "--batch-size", "260", "--input-len", "40", "--output-len", "3",
                      "--trace", trace});
  CHECK(contains(r.outcome.out, "Prefill. latency: "));
  CHECK(contains(r.outcome.out, "Decode.  median latency: "));
  CHECK(contains(r.outcome.out, "Total. latency: "));
  CHECK(contains(r.outcome.out, "Trace: 3 steps"));
  CHECK(Json::parse(read_file(trace)).size() > 0);
  CHECK(r.json["batch_size"] == 260);
  CHECK(r.json["prefill_latency"] > 0);
  CHECK(r.json["median_decode_latency"] > 0);
  CHECK(r.json["prefill_latency"].get<double>() < r.json["total_latency"].get<double>());
}

TEST_CASE("startup counts from this command on, of dummy weights and of a file") {
  Result r = measure({"startup"});
  double weights = r.json["weights_loaded_time"], ready = r.json["ready_time"],
         first = r.json["first_token_time"];
  CHECK(0 < weights);
  CHECK(weights <= ready);
  CHECK(ready <= first);
  CHECK(first <= r.outcome.seconds + 0.05);  // the kernel counts in hundredths
  CHECK(contains(r.outcome.out, "STARTUP TIME BENCHMARK RESULTS"));
  CHECK(r.json["avg_cold_startup_time"] == r.json["ready_time"]);
  Outcome o = run(bench({"startup", "-m", model_file("tiny-qwen2-docs"), "--backend", "cpu",
                         "--kv_cache_memory_bytes", "20MB", "--tp", "2"}));
  INFO(o.err);
  CHECK(o.exit_code == 0);
  CHECK(contains(o.out, "First token: "));
}

TEST_CASE("options, presets and configurations become keys") {
  std::string nano = command_of({"throughput", "--preset", "nano", "--tensor-parallel-size", "4"});
  for (const char* part :
       {" -np 4 ", "job.type=bench", "bench.kind=throughput", "bench.dataset=nano",
        "bench.temperature=0.6", "grid.y=4", "model.path=m.h5"})
    CHECK(contains(nano, part));
  CHECK(!contains(nano, "load_format"));
  std::string sampled = command_of({"throughput", "--preset", "sampled", "--top-k", "5"});
  for (const char* part : {"bench.dataset=nano", "bench.temperature=0.7", "bench.top_p=0.8",
                           "bench.repetition_penalty=1.05"})
    CHECK(contains(sampled, part));
  CHECK(sampled.find("bench.top_k=20") < sampled.find("bench.top_k=5"));
  CHECK(contains(command_of({"throughput", "--preset=logprobs"}), "bench.logprobs=5"));
  std::string seed = command_of({"one-batch", "--preset=seed-decode", "--output-len", "9"});
  CHECK(contains(seed, "bench.batch_size=40 --set bench.input_len=600 --set bench.output_len=600"));
  CHECK(seed.find("bench.output_len=600") < seed.find("bench.output_len=9"));  // the later holds
  CHECK(contains(command_of({"latency"}), "bench.input_len=32"));
  TempFolder folder;
  std::string config = folder.write("bench.yaml", "bench: {input_len: 77}\n");
  CHECK(!contains(command_of({"latency", "--config", config}), "bench.input_len"));
  CHECK(contains(command_of({"throughput", "--enforce-eager"}), "enforce_eager=true"));
  CHECK(contains(command_of({"throughput", "--set", "kv_cache.page_size=16"}),
                 "kv_cache.page_size=16"));
}

TEST_CASE("what cannot be is refused") {
  check_usage(bench({}), "bench: KIND is missing");
  check_usage(bench({"thruput"}), "unknown kind thruput; did you mean throughput?");
  check_usage(bench({"throughput"}), "model.path is missing");
  check_usage(bench({"throughput", "-m", "x", "--preset", "nono"}),
              "'nono' is not one of throughput's");
  check_usage(bench({"latency", "-m", "x", "--preset", "nano"}), "'nano' is not one of latency's");
  check_usage(bench({"startup", "-m", "x", "--batch-size", "3"}), "--batch_size");
  check_usage(bench({"latency", "-m", "x", "--set", "bench.dataset=nano"}), "bench.dataset is of");
  check_usage(bench({"throughput", "-m", "x", "--dataset", "sharegpt"}),
              "'sharegpt' is not one of");
  check_usage(bench({"latency", "-m", "x", "--dp", "2"}), "--dp");
  check_usage(bench({"grids", "-m", "x", "--tp", "2"}), "--tp");
  check_usage(bench({"grids", "-m", "x", "--grids", "y=2;w=2"}),
              "'w=2' is not an extent of a grid");
  check_usage(bench({"throughput", "-m", "x", "--dataset", "jsonl"}),
              "bench.dataset_path is missing");
}
