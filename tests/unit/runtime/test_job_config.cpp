#include "runtime/job_config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <regex>

#include "tests/support/test_paths.h"
#include "tests/unit/model/files/model_files.h"
#include "tests/unit/runtime/job_config_lines.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Example {
  std::string key, value;
  std::function<bool(const EngineConfig&)> holds;
};

using C = EngineConfig;

// A value other than the default for every key.
const std::vector<Example>& examples() {
  static const std::vector<Example> list = {
      {"model.path", "a b.h5", [](const C& c) { return c.model.path == "a b.h5"; }},
      {"model.load_format", "dummy",
       [](const C& c) { return c.model.load_format == C::LoadFormat::kDummy; }},
      {"model.dtype", "float32", [](const C& c) { return c.model.dtype == DType::f32; }},
      {"model.seed", "77", [](const C& c) { return c.model.seed == 77; }},
      {"model.verify", "false", [](const C& c) { return !c.model.verify; }},
      {"backend", "cuda", [](const C& c) { return c.backend == C::BackendChoice::kCuda; }},
      {"grid.dp", "2", [](const C& c) { return c.grid == GridShape{.dp = 2}; }},
      {"grid.x", "2", [](const C& c) { return c.grid == GridShape{.x = 2}; }},
      {"grid.y", "4", [](const C& c) { return c.grid == GridShape{.y = 4}; }},
      {"grid.z", "2", [](const C& c) { return c.grid == GridShape{.z = 2}; }},
      {"grid.gather_tokens", "4300", [](const C& c) { return c.gather_tokens == 4300 && !c.grid; }},
      {"grid.heads", "3", [](const C& c) { return c.grid == GridShape{.heads = 3}; }},
      {"threads", "3", [](const C& c) { return c.threads == 3; }},
      {"kv_cache.page_size", "16", [](const C& c) { return c.kv_cache.page_size == 16; }},
      {"kv_cache.memory_bytes", "1.5 GiB",
       [](const C& c) { return c.kv_cache.memory_bytes == 3 * (size_t{1} << 29); }},
      {"kv_cache.gpu_memory_utilization", "0.5",
       [](const C& c) { return c.kv_cache.gpu_memory_utilization == 0.5; }},
      {"kv_cache.radix", "false", [](const C& c) { return !c.kv_cache.radix; }},
      {"kv_cache.cascade", "false", [](const C& c) { return !c.kv_cache.cascade; }},
      {"kv_cache.eviction", "lru", [](const C&) { return true; }},
      {"speculative.method", "ngram",
       [](const C& c) { return c.speculative.method == C::Speculative::Method::kNgram; }},
      {"speculative.num_speculative_tokens", "4",
       [](const C& c) { return c.speculative.num_speculative_tokens == 4; }},
      {"speculative.prompt_lookup_min", "3",
       [](const C& c) { return c.speculative.prompt_lookup_min == 3; }},
      {"speculative.prompt_lookup_max", "5",
       [](const C& c) { return c.speculative.prompt_lookup_max == 5; }},
      {"speculative.adaptive", "false", [](const C& c) { return !c.speculative.adaptive; }},
      {"scheduler.max_num_seqs", "7", [](const C& c) { return c.scheduler.max_num_seqs == 7; }},
      {"scheduler.max_num_batched_tokens", "4000",
       [](const C& c) { return c.scheduler.max_num_batched_tokens == 4000; }},
      {"scheduler.chunked_prefill", "false",
       [](const C& c) { return !c.scheduler.chunked_prefill; }},
      {"scheduler.async", "false", [](const C& c) { return !c.scheduler.async; }},
      {"scheduler.max_input_length", "100",
       [](const C& c) { return c.scheduler.max_input_length == 100; }},
      {"scheduler.max_output_length", "200",
       [](const C& c) { return c.scheduler.max_output_length == 200; }},
      {"scheduler.max_waiting", "9", [](const C& c) { return c.scheduler.max_waiting == 9; }},
      {"scheduler.busy_scale", "1", [](const C& c) { return c.scheduler.busy_scale == 1; }},
      {"job.type", "batch", [](const C& c) { return c.job.type == C::JobType::kBatch; }},
      {"job.input", "in.jsonl", [](const C& c) { return c.job.input == "in.jsonl"; }},
      {"job.output", "out.jsonl", [](const C& c) { return c.job.output == "out.jsonl"; }},
      {"job.overwrite", "true", [](const C& c) { return c.job.overwrite; }},
      {"job.resume", "restart",
       [](const C& c) { return c.job.resume == BatchOptions::Resume::kRestart; }},
      {"job.retry_errors", "true", [](const C& c) { return c.job.retry_errors; }},
      {"job.order", "longest",
       [](const C& c) { return c.job.order == BatchOptions::Order::kLongest; }},
      {"job.output_order", "input",
       [](const C& c) { return c.job.output_order == BatchOptions::OutputOrder::kInput; }},
      {"job.record_costs", "true", [](const C& c) { return c.job.record_costs; }},
      {"job.error_file", "errors", [](const C& c) { return c.job.error_file == "errors"; }},
      {"job.part", "3/8",
       [](const C& c) {
         return c.job.part == LinePart{3, 8};
       }},
      {"job.stop_after", "60", [](const C& c) { return c.job.stop_after == 60; }},
      {"job.grace", "5", [](const C& c) { return c.job.grace == 5; }},
      {"job.max_line_bytes", "2048", [](const C& c) { return c.job.max_line_bytes == 2048; }},
      {"server.host", "0.0.0.0", [](const C& c) { return c.server.host == "0.0.0.0"; }},
      {"server.port", "0", [](const C& c) { return c.server.port == 0; }},
      {"server.unix_socket", "s.sock", [](const C& c) { return c.server.unix_socket == "s.sock"; }},
      {"server.endpoint_file", "e", [](const C& c) { return c.server.endpoint_file == "e"; }},
      {"server.api_key", "k", [](const C& c) { return c.server.api_key == "k"; }},
      {"server.api_key_file", "f", [](const C& c) { return c.server.api_key_file == "f"; }},
      {"server.served_model_name", "qwen",
       [](const C& c) { return c.server.served_model_name == "qwen"; }},
      {"server.shutdown_timeout_s", "3",
       [](const C& c) { return c.server.shutdown_timeout_s == 3; }},
      {"server.request_timeout_s", "9", [](const C& c) { return c.server.request_timeout_s == 9; }},
      {"server.max_body_bytes", "1MB",
       [](const C& c) { return c.server.max_body_bytes == 1000000; }},
      {"server.stream_queue_bytes", "2MiB",
       [](const C& c) { return c.server.stream_queue_bytes == 2 << 20; }},
      {"server.keep_alive_s", "7", [](const C& c) { return c.server.keep_alive_s == 7; }},
      {"server.cors_origin", "http://a.b",
       [](const C& c) { return c.server.cors_origin == "http://a.b"; }},
      {"server.metrics_prefix", "vllm",
       [](const C& c) { return c.server.metrics_prefix == ServerOptions::MetricsPrefix::kVllm; }},
      {"server.log_interval_s", "0", [](const C& c) { return c.server.log_interval_s == 0; }},
      {"server.access_log", "a.jsonl", [](const C& c) { return c.server.access_log == "a.jsonl"; }},
      {"cuda_graph_max_bs", "8", [](const C& c) { return c.cuda_graph_max_bs == 8; }},
      {"enforce_eager", "true", [](const C& c) { return c.enforce_eager; }},
      {"seed", "9223372036854775807", [](const C& c) { return c.seed == INT64_MAX; }},
      {"step_timeout_s", "0", [](const C& c) { return c.step_timeout_s == 0; }},
      {"record_plan", "plans", [](const C& c) { return c.record_plan == "plans"; }},
      {"replay_plan", "plans", [](const C& c) { return c.replay_plan == "plans"; }},
      {"load_threads", "8", [](const C& c) { return c.load_threads == 8; }},
  };
  return list;
}

const std::string kForcedLength = "speculative.synthetic_acceptance_length";

std::vector<std::string> all_keys() {
  std::vector<std::string> keys;
  for (const ConfigSection& section : job_keys())
    for (const ConfigRow& row : section.rows) keys.push_back(row.key);
  return keys;
}

}  // namespace

TEST_CASE("configuration: every key, in a file and as --set") {
  for (const Example& e : examples()) {
    CAPTURE(e.key);
    bool is_path = e.key == "model.path";
    CHECK(e.holds(is_path ? parse(yaml_of(e.key, e.value))
                          : parse_with_path(yaml_of(e.key, e.value))));
    CHECK(e.holds(parse("model: {path: m}", {e.key + "=" + e.value})));
    // --set goes over the file.
    CHECK(e.holds(parse(yaml_of("model.path", "m"), {"model.path=n", e.key + "=" + e.value})));
  }
}

TEST_CASE("configuration: the settings of a batch make the same one again") {
  for (const Example& e : examples()) {
    if (e.key.starts_with("bench.") || e.key.starts_with("server.")) continue;
    CAPTURE(e.key);
    C config = parse("model: {path: m}", {e.key + "=" + e.value});
    std::vector<std::string> settings;
    for (const auto& [key, value] : batch_settings(config)) settings.push_back(key + "=" + value);
    CHECK(parse("", settings) == config);
  }
}

TEST_CASE("configuration: a forced number of accepted tokens is of benchmarks that speculate") {
  std::vector<std::string> bench = {"model.path=m", "job.type=bench", "speculative.method=ngram",
                                    kForcedLength + "=2.5"};
  CHECK(parse("", bench).speculative.synthetic_acceptance_length == 2.5);
  for (size_t left_out : {1, 2}) {
    std::vector<std::string> keys = bench;
    keys.erase(keys.begin() + static_cast<int64_t>(left_out));
    CHECK(contains(refusal("", keys), kForcedLength + " is of benchmarks"));
  }
}

// bench and server have tests of their own, as has this one.
TEST_CASE("configuration: the examples above leave no key out") {
  for (const std::string& key : all_keys()) {
    CAPTURE(key);
    if (key == "grid" || key == kForcedLength || key.starts_with("bench.") ||
        key.starts_with("server."))
      continue;
    CHECK(std::any_of(examples().begin(), examples().end(),
                      [&](const Example& e) { return e.key == key; }));
  }
}

TEST_CASE("configuration: no key has two rows, and a row without help is none") {
  auto keys = all_keys();
  std::sort(keys.begin(), keys.end());
  CHECK(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
  for (const ConfigSection& section : job_keys())
    for (const ConfigRow& row : section.rows) {
      CAPTURE(row.key);
      CHECK(row.help.size() > 4);
      CHECK(!contains(row.help, "\n"));
    }
}

TEST_CASE("configuration: what a row prints as its default is the default") {
  for (const ConfigSection& section : job_keys())
    for (const ConfigRow& row : section.rows) {
      CAPTURE(row.key);
      if (row.default_text.empty()) continue;
      EngineConfig read, defaults;
      if (row.key.starts_with("grid.") && row.key != "grid.gather_tokens") defaults.grid.emplace();
      row.read(read, row.default_text);
      CHECK(read == defaults);
    }
}

TEST_CASE("configuration: the reference is what the rows print") {
  std::string text = read_file(ll::test::repository_path("configs/reference.yaml"));
  CHECK_MESSAGE(text == job_reference(),
                "litelang-run --print_reference > configs/reference.yaml brings it up to date");
  CHECK(parse(text, {"model.path=m"}) == parse("", {"model.path=m"}));
  // The block that stands in a comment, in the place of `grid: auto`.
  text = std::regex_replace(text, std::regex("\ngrid: auto[^\n]*"), "");
  text = std::regex_replace(text, std::regex("\n#(grid:|  )"), "\n$1");
  CHECK(parse(text, {"model.path=m"}).grid == GridShape{});
}

TEST_CASE("configuration: --set takes the map of a section, whose keys go over the file's") {
  CHECK(parse_with_path("", {"grid={x: 2, y: 2}"}).grid == GridShape{.x = 2, .y = 2});
  CHECK(parse_with_path("grid: {z: 2}", {"grid={y: 4}"}).grid == GridShape{.y = 4, .z = 2});
  CHECK(parse_with_path("", {"grid={y: 4}", "grid.y=2"}).grid == GridShape{.y = 2});
  EngineConfig c = parse_with_path("kv_cache: {radix: false}",
                                   {"kv_cache={page_size: 16, memory_bytes: 6GB}", "grid={}"});
  CHECK(c.kv_cache.page_size == 16);
  CHECK(c.kv_cache.memory_bytes == 6'000'000'000);
  CHECK(!c.kv_cache.radix);
  CHECK(!c.grid);
  CHECK(parse("", {"model.path={a: b}"}).model.path == "{a: b}");
  CHECK(refusal("", {"grid={x: 2, w: 2}"}) == "--set: unknown key grid.w; did you mean grid.x?");
  CHECK(refusal("", {"grid={x: two}"}) == "--set: grid.x: 'two' is not a whole number");
  CHECK(contains(refusal("", {"grid={x: 2"}), "--set grid:1: not valid YAML"));
  CHECK(contains(refusal("", {"grid={x: {y: 2}}"}), "--set: grid.x: expected a single value"));
  CHECK(refusal("", {"grid=2"}) == "--set: grid: '2' is not one of auto");
  CHECK(contains(refusal("", {"nothing={x: 2}"}), "--set: unknown key nothing"));
}

TEST_CASE("configuration: defaults") {
  EngineConfig c = parse("model:\n  path: m.h5\n");
  CHECK(c.model.load_format == C::LoadFormat::kWeights);
  CHECK(!c.model.dtype);
  CHECK(c.backend == C::BackendChoice::kAuto);
  CHECK(!c.grid);
  CHECK(c.kv_cache.page_size == 64);
  CHECK(c.kv_cache.memory_bytes == 0);
  CHECK(c.kv_cache.gpu_memory_utilization == 0.9);
  CHECK(c.kv_cache.radix);
  CHECK(c.scheduler.max_num_seqs == 0);
  CHECK(c.scheduler.max_num_batched_tokens == 8192);
  CHECK(c.scheduler.chunked_prefill);
  CHECK(c.scheduler.async);
  CHECK(c.scheduler.busy_scale == 0.5);
  CHECK(c.step_timeout_s == 300);
  CHECK(c.load_threads == 4);
}

TEST_CASE("configuration: a measured batch runs as one unless the user says otherwise") {
  auto scheduler = [](const std::string& kind, std::vector<std::string> more) {
    more.insert(more.begin(), {"job.type=bench", "bench.kind=" + kind, "bench.input_len=600"});
    return parse_with_path("", more).scheduler;
  };
  CHECK(scheduler("one-batch", {"bench.batch_size=40"}).max_num_batched_tokens == 24000);
  CHECK(scheduler("one-batch", {"bench.batch_size=40"}).max_num_seqs == 256);
  CHECK(scheduler("one-batch", {"bench.batch_size=300"}).max_num_seqs == 300);
  CHECK(
      scheduler("one-batch", {"bench.batch_size=2", "bench.input_len=5"}).max_num_batched_tokens ==
      256);
  auto given = scheduler("one-batch", {"bench.batch_size=300", "scheduler.max_num_seqs=20",
                                       "scheduler.max_num_batched_tokens=100"});
  CHECK(given.max_num_seqs == 20);
  CHECK(given.max_num_batched_tokens == 100);
  CHECK(scheduler("latency", {"bench.batch_size=300"}).max_num_seqs == 300);
  CHECK(scheduler("latency", {"bench.batch_size=300"}).max_num_batched_tokens == 8192);
  CHECK(scheduler("throughput", {"bench.batch_size=300"}).max_num_seqs == 0);
  EngineConfig c = parse(
      "model: {path: m}\nscheduler: {max_num_batched_tokens: 512}\n"
      "job: {type: bench}\nbench: {kind: one-batch, batch_size: 9}\n");
  CHECK(c.scheduler.max_num_batched_tokens == 512);
}

TEST_CASE("configuration: benchmarks of one batch have random prompts") {
  std::vector<std::string> bench = {"model.path=m", "job.type=bench"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), bench.begin(), bench.end());
    return refusal("", more);
  };
  CHECK(with({"bench.dataset=nano"}).empty());
  CHECK(contains(with({"bench.dataset=nano", "bench.kind=latency"}), "bench.dataset is of"));
  CHECK(contains(with({"bench.dataset=jsonl"}), "bench.dataset_path is missing"));
  CHECK(with({"bench.dataset=jsonl", "bench.dataset_path=x"}).empty());
}

TEST_CASE("configuration: grids to measure are of their benchmark alone") {
  std::vector<std::string> bench = {"model.path=m", "job.type=bench"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), bench.begin(), bench.end());
    return refusal("", more);
  };
  CHECK(with({"bench.kind=grids", "bench.grids=y=2;dp=2"}).empty());
  CHECK(contains(with({"bench.kind=grids", "bench.grids=y2"}), "bench.grids: 'y2' is not"));
  CHECK(contains(with({"bench.kind=grids", "grid.y=2"}), "grid is not of bench.kind grids"));
  CHECK(contains(with({"bench.grids=y=2"}), "bench.grids is of bench.kind grids"));
  auto config = [&](std::vector<std::string> more) {
    more.insert(more.begin(), bench.begin(), bench.end());
    return parse("", more);
  };
  CHECK(config({"bench.dataset=nano"}).bench.data.num_prompts == kNanoPrompts);
  CHECK(config({"bench.dataset=nano", "bench.num_prompts=9"}).bench.data.num_prompts == 9);
  C grids = config({"bench.kind=grids", "bench.batch_size=300", "bench.input_len=10000"});
  CHECK(grids.scheduler.max_num_seqs == 300);
  CHECK(grids.scheduler.max_num_batched_tokens == 10000);
}

TEST_CASE("configuration: a grid is auto, or parts of a shape") {
  CHECK(!parse_with_path("grid: auto").grid);
  CHECK(parse_with_path("grid: {y: 4, heads: 2}").grid == GridShape{.y = 4, .heads = 2});
  CHECK(parse_with_path("grid: auto", {"grid.y=2"}).grid == GridShape{.y = 2});
  CHECK(!parse_with_path("grid: {y: 4}", {"grid=auto"}).grid);
  CHECK(refusal("grid: 4") == "demo.yaml:1: grid: '4' is not one of auto");
}

TEST_CASE("configuration: sizes in bytes") {
  auto bytes = [](const std::string& text) {
    return parse_with_path("", {"kv_cache.memory_bytes=" + text}).kv_cache.memory_bytes;
  };
  CHECK(bytes("0") == 0);
  CHECK(bytes("6000000000") == 6'000'000'000);
  CHECK(bytes("6GB") == 6'000'000'000);
  CHECK(bytes("6 gb") == 6'000'000'000);
  CHECK(bytes("1.5kb") == 1500);
  CHECK(bytes("2 MiB") == size_t{2} << 20);
  CHECK(bytes("1TiB") == size_t{1} << 40);
  CHECK(bytes("3B") == 3);
  CHECK(bytes("1e3") == 1000);
  for (const char* bad : {"", "GB", "-1", "6 GX", "1e30", "inf", "nan", "6GB6", "0x10"}) {
    CAPTURE(bad);
    CHECK(contains(refusal("", {std::string("kv_cache.memory_bytes=") + bad}), "is not a size"));
  }
}
