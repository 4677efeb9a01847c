// How answers came to be: the manifest beside them, what each cost, and the job once more.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <csignal>

#include "tests/e2e/batch.h"
#include "tests/support/errors.h"

using namespace ll::test;

namespace {

// Some of them wrong.
std::string partly_wrong_requests(int count, int max_tokens) {
  std::vector<Json> lines = various_requests(count, max_tokens);
  for (size_t i = 9; i < lines.size(); i += 10) lines[i]["body"]["max_tokens"] = -1;
  return jsonl(lines);
}

struct ProvenJob : BatchFiles {
  using BatchFiles::BatchFiles;
  Outcome run(int np, std::vector<std::string> sets = {}) const {
    return ll::test::run(command({.np = np, .sets = std::move(sets)}));
  }
  Json manifest() const { return Json::parse(read_file(out + ".manifest.json")); }
  Outcome rerun(std::vector<std::string> options = {}) const {
    std::vector<std::string> command = {program("litelang"), "rerun", out + ".manifest.json"};
    command.insert(command.end(), options.begin(), options.end());
    return ll::test::run(command);
  }
};

// What the answers of an output say that they cost, of one kind.
double sum_of(const std::string& out, const std::string& kind) {
  double sum = 0;
  for (const std::string& line : lines_of(read_file(out))) {
    Json record = Json::parse(line);
    if (record["error"].is_null())
      sum += record["response"]["body"]["usage"]["litelang"].at(kind).get<double>();
  }
  return sum;
}

}  // namespace

TEST_CASE("the manifest says how the answers came to be, and costs add up") {
  for (int np : {1, 2}) {
    CAPTURE(np);
    ProvenJob job(partly_wrong_requests(60, 20));
    Outcome o = job.run(np, {"job.record_costs=true", "scheduler.max_num_seqs=16", "seed=3"});
    INFO(o.err);
    REQUIRE(o.exit_code == 0);
    Json m = job.manifest();
    CHECK(contains(m["program"]["version"].get<std::string>(), "litelang "));
    CHECK(m["program"]["libraries"].contains("HDF5"));
    CHECK(m["configuration"]["scheduler.max_num_seqs"] == "16");
    CHECK(m["configuration"]["model.dtype"] == "float32");
    CHECK(m["input"]["lines"] == 60);
    CHECK(m["input"]["sha256"].get<std::string>().size() == 64);
    CHECK(m["model"]["fingerprint"].get<std::string>().size() == 64);
    CHECK(m["model"]["weights"].get<std::string>().size() == 64);
    CHECK(m["seed"] == 3);
    CHECK(m["output"]["complete"] == true);
    CHECK(m["output"]["answered"] == 60);
    CHECK(m["output"]["failed"] == 6);
    REQUIRE(m["lives"].size() == 1);
    const Json& life = m["lives"][0];
    CHECK(life["exit"] == "done");
    CHECK(life["end"].is_string());
    CHECK(life["grid"] == fmt::format("dp 1 x 1 y {} z 1", np));
    CHECK(life["hosts"][0]["ranks"] == np);
    CHECK(contains(life["hosts"][0]["device"].get<std::string>(), "CPU"));
    CHECK_FALSE(life.contains("joules"));  // nothing measures a CPU's
    double seconds = m["totals"]["device_seconds"], shared = sum_of(job.out, "device_seconds");
    double tokens = m["totals"]["computed_tokens"], counted = sum_of(job.out, "computed_tokens");
    fmt::print("np {}: {:.4f} device-seconds, of answers {:.4f}; {} tokens, of answers {}\n", np,
               seconds, shared, tokens, counted);
    CHECK(seconds > 0);
    CHECK(shared == doctest::Approx(seconds).epsilon(0.02));
    CHECK(counted <= tokens);
    CHECK(counted >= 0.9 * tokens);  // rows that turned out to be in vain are nobody's
  }
}

TEST_CASE("answers say nothing of costs unless they are asked to") {
  ProvenJob job(partly_wrong_requests(2, 4));
  REQUIRE(job.run(1).exit_code == 0);
  CHECK_FALSE(contains(read_file(job.out), "\"litelang\""));
  CHECK(job.manifest()["totals"]["device_seconds"].get<double>() > 0);
}

TEST_CASE("lives follow each other in the manifest; replicas have their costs, too") {
  ProvenJob job(partly_wrong_requests(150, 30));
  std::vector<std::string> sets = {"job.record_costs=true", "grid.dp=2", "job.grace=1"};
  {
    Process process(job.command({.np = 2, .sets = sets}));
    auto answered = [&] { return lines_of(read_file(job.out + ".partial")).size() > 20; };
    REQUIRE(wait_until(answered, std::chrono::seconds(60)));
    process.signal(SIGUSR1);
    REQUIRE(process.wait().exit_code == 75);
  }
  CHECK(job.manifest()["lives"][0]["exit"] == "stopped: SIGUSR1 came");
  CHECK(job.manifest()["output"]["complete"] == false);
  CHECK(job.rerun().exit_code == 1);  // not yet
  {
    Process process(job.command({.np = 2, .sets = sets}));
    size_t before = lines_of(read_file(job.out + ".partial")).size();
    auto answers = [&] { return lines_of(read_file(job.out + ".partial")).size() > before; };
    REQUIRE(wait_until(answers, std::chrono::seconds(60)));
    process.signal(SIGKILL);
    process.wait();
    REQUIRE(wait_until([&] { return process.family().empty(); }, std::chrono::seconds(10)));
  }
  size_t before = lines_of(read_file(job.out + ".partial")).size();
  Outcome o = job.run(2, sets);
  INFO(o.err);
  REQUIRE(o.exit_code == 0);
  Json m = job.manifest();
  REQUIRE(m["lives"].size() == 3);
  const Json &first = m["lives"][0], &killed = m["lives"][1], &last = m["lives"][2];
  CHECK(killed["exit"].is_null());
  CHECK(killed["end"].is_string());
  CHECK(killed["answered_before"] == first["answered"]);
  CHECK(killed["answered"] == before);
  CHECK(last["answered_before"] == before);
  CHECK(last["answered"] == 150);
  // The killed one took its sums with it; those of the others are in the answers, or were given
  // back.
  double given_back = first.value("given_back_device_seconds", 0.0);
  double total = first["device_seconds"].get<double>() + last["device_seconds"].get<double>();
  double shared = sum_of(job.out, "device_seconds");
  CHECK(shared + given_back >= 0.98 * total);
}

TEST_CASE("a rerun has the same answers, and refuses another input or model") {
  for (int np : {1, 2}) {
    CAPTURE(np);
    ProvenJob job(partly_wrong_requests(40, 12));
    REQUIRE(
        job.run(np, {"job.error_file=" + job.folder.path("errors"), "job.part=1/2"}).exit_code ==
        0);
    Outcome o = job.rerun();
    INFO(o.err);
    CHECK(o.exit_code == 0);
    CHECK(contains(o.err, "20 of 20 answers are those of " + job.out));
    CHECK(lines_of(read_file(job.out + ".rerun")).size() == 20);
    CHECK(std::filesystem::exists(job.out + ".rerun.manifest.json"));

    std::string text = read_file(job.out);
    text[text.find("\"text\":\"") + 8] = '#';
    job.folder.write("out", text);
    Outcome other = job.rerun({"-o", job.folder.path("again")});
    CHECK(other.exit_code == 1);
    CHECK(contains(other.err, "1 of 20 answers differ from those of " + job.out + ", first that"));
  }
  ProvenJob job(partly_wrong_requests(4, 4));
  REQUIRE(job.run(1).exit_code == 0);
  Outcome model = job.rerun({"-m", model_file("random-hd64")});
  CHECK(model.exit_code == 2);
  CHECK(contains(model.err, "random-hd64.h5: is not the model of " + job.out + ".manifest.json"));
  CHECK(lines_of(model.err).size() == 1);
  job.folder.write("in", partly_wrong_requests(5, 4));
  Outcome input = job.rerun();
  CHECK(input.exit_code == 2);
  CHECK(contains(input.err, "in: is not the input of " + job.out + ".manifest.json: sha256 "));
  CHECK(lines_of(input.err).size() == 1);
  CHECK_FALSE(std::filesystem::exists(job.out + ".rerun"));
  Outcome none = run({program("litelang"), "rerun", job.in});
  CHECK(none.exit_code == 1);
  CHECK(lines_of(none.err).size() == 1);
}
