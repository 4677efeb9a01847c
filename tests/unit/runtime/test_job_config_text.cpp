// What is wrong with a configuration is said with the place where it stands.
#include "tests/support/errors.h"
#include "tests/unit/runtime/job_config_lines.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("configuration: values of the wrong kind say where they stand") {
  auto yaml = [](const std::string& key, const std::string& value) {
    return "# a comment\nmodel:\n  path: m\n" + yaml_of(key, value);
  };
  CHECK(refusal(yaml("kv_cache.page_size", "sixteen")) ==
        "demo.yaml:5: kv_cache.page_size: 'sixteen' is not a whole number");
  CHECK(refusal(yaml("kv_cache.page_size", "1.5")) ==
        "demo.yaml:5: kv_cache.page_size: '1.5' is not a whole number");
  CHECK(refusal(yaml("kv_cache.page_size", "0")) ==
        "demo.yaml:5: kv_cache.page_size: 0 is outside 1 to 65536");
  CHECK(refusal(yaml("kv_cache.page_size", "99999999999999999999")) ==
        "demo.yaml:5: kv_cache.page_size: '99999999999999999999' is not a whole number");
  CHECK(refusal(yaml("kv_cache.page_size", "[1, 2]")) ==
        "demo.yaml:5: kv_cache.page_size: expected a single value");
  CHECK(refusal(yaml("kv_cache.page_size", "{a: 1}")) ==
        "demo.yaml:5: kv_cache.page_size: expected a single value");
  CHECK(refusal(yaml("kv_cache.radix", "yes")) ==
        "demo.yaml:5: kv_cache.radix: 'yes' is neither true nor false");
  CHECK(refusal(yaml("scheduler.busy_scale", "1.5")) ==
        "demo.yaml:5: scheduler.busy_scale: 1.5 is outside 0 to 1");
  CHECK(refusal(yaml("scheduler.busy_scale", "nan")) ==
        "demo.yaml:5: scheduler.busy_scale: nan is outside 0 to 1");
  CHECK(refusal(yaml("scheduler.busy_scale", "half")) ==
        "demo.yaml:5: scheduler.busy_scale: 'half' is not a number");
  CHECK(refusal(yaml("backend", "tpu")) ==
        "demo.yaml:4: backend: 'tpu' is not one of auto, cpu, cuda");
  CHECK(refusal(yaml("model.dtype", "int8")).find("model") != std::string::npos);
  CHECK(refusal("model: m.h5") == "demo.yaml:1: model: is a section; its keys go below it");
  CHECK(refusal("[1, 2]") == "demo.yaml: expected a map of keys");
  CHECK(refusal("word") == "demo.yaml: expected a map of keys");
}

TEST_CASE("configuration: unknown keys, with the nearest known one") {
  CHECK(refusal("model:\n  path: m\nkv_cache:\n  pagesize: 4\n") ==
        "demo.yaml:4: unknown key kv_cache.pagesize; did you mean kv_cache.page_size?");
  CHECK(refusal("schedular:\n  max_num_seqs: 4\n") ==
        "demo.yaml:2: unknown key schedular.max_num_seqs; did you mean scheduler.max_num_seqs?");
  CHECK(refusal("max_num_seqs: 4") ==
        "demo.yaml:1: unknown key max_num_seqs; did you mean scheduler.max_num_seqs?");
  CHECK(refusal("zzzzzzzzzzzzzzzz: 4") == "demo.yaml:1: unknown key zzzzzzzzzzzzzzzz");
  CHECK(refusal("", {"bakend=cpu"}) == "--set: unknown key bakend; did you mean backend?");
  // Also where nothing stands behind them.
  CHECK(contains(refusal("kv_cache:\n  pagesize:\n"), "unknown key kv_cache.pagesize"));
  CHECK(contains(refusal("schedular: {}\n"), "unknown key schedular"));
  CHECK(contains(refusal("schedular:\n"), "unknown key schedular"));
  CHECK(contains(refusal("model: {path: {file: m}}"), "expected a single value"));
  CHECK(contains(refusal("model: {path: m, deep: {key: 1}}"), "unknown key model.deep"));
}

TEST_CASE("configuration: keys and sections with nothing behind them keep their defaults") {
  EngineConfig c = parse_with_path("kv_cache:\nscheduler: {}\njob:\n  input:\nthreads: ~\n");
  CHECK(c.kv_cache.page_size == 64);
  CHECK(c.scheduler.max_num_seqs == 0);
  CHECK(c.job.input.empty());
  CHECK(c.threads == 0);
}

TEST_CASE("configuration: what is given twice") {
  CHECK(refusal("model: {path: a}\nthreads: 1\nthreads: 2\n") ==
        "demo.yaml:3: threads: given twice");
  CHECK(refusal("model:\n  path: a\n  path: b\n") == "demo.yaml:3: model.path: given twice");
  CHECK(contains(refusal("model: {path: a}\nmodel: {seed: 1}\n"), "model: given twice"));
  CHECK(contains(refusal("model.path: a\nmodel: {path: b}\n"), "model.path: given twice"));
}

TEST_CASE("configuration: anchors and aliases, quotes and comments") {
  EngineConfig c = parse(
      "model: {path: 'm # not a comment'}  # a comment\n"
      "scheduler:\n  max_num_seqs: &n 32\n  max_waiting: *n\nthreads: \"2\"\n");
  CHECK(c.model.path == "m # not a comment");
  CHECK(c.scheduler.max_num_seqs == 32);
  CHECK(c.scheduler.max_waiting == 32);
  CHECK(c.threads == 2);
}

TEST_CASE("configuration: what is not YAML, with the line") {
  CHECK(contains(refusal("model: {path: m\nthreads: 1\n"), "not valid YAML"));
  CHECK(contains(refusal("threads: 1\nseed: [1, 2\n"), "demo.yaml:3: not valid YAML"));
  CHECK(
      contains(refusal("job:\n  input: -\n"), "demo.yaml:2: not valid YAML"));  // "-" wants quotes
  CHECK(parse_with_path("job:\n  input: '-'\n").job.input == "-");
  CHECK(contains(refusal("model:\n\tpath: m\n"), "demo.yaml:2: not valid YAML"));
  CHECK(contains(refusal("threads: *nothing\n"), "demo.yaml:1: not valid YAML"));
  CHECK(refusal("model: {path: m}\n---\nthreads: 1\n") ==
        "demo.yaml:2: a second document begins; there can be one only");
  CHECK(refusal(",\nmodel: {path: m}\n") == "demo.yaml: expected a map of keys");
  CHECK(refusal("# nothing\n---\n").find("model.path") != std::string::npos);
}

TEST_CASE("configuration: what only the whole tells") {
  CHECK(refusal("") ==
        "demo.yaml: model.path is missing; give a .h5 file or a Hugging Face folder");
  CHECK(refusal("model: {path: m}\nscheduler: {max_num_seqs: 64, max_num_batched_tokens: 63}\n") ==
        "demo.yaml: scheduler.max_num_batched_tokens = 63 is below scheduler.max_num_seqs = 64; "
        "every running sequence needs one token a step");
  CHECK_NOTHROW(parse_with_path("scheduler: {max_num_seqs: 64, max_num_batched_tokens: 64}\n"));
  CHECK(refusal("model: {path: m}", {"threads"}) == "--set threads: expected key.path=value");
  CHECK(parse("", {"model.path=a=b"}).model.path == "a=b");
}
