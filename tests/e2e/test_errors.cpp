// Whatever is wrong with a job: one line that says what and where, the right exit code, and no
// process left, soon.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstring>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

constexpr int kError = 1, kUsage = 2;
constexpr double kSoon = 10;  // seconds

std::string one_request() {
  return jsonl({completion("a", "The kernel", {{"max_tokens", 4}, {"temperature", 0}})});
}

// What a run says when it loads a model is no error.
std::vector<std::string> error_lines(const std::string& err) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_of(err))
    if (!line.starts_with("litelang 0") && !line.starts_with("memory of a rank"))
      lines.push_back(line);
  return lines;
}

void check_fails(const std::vector<std::string>& command, int exit_code,
                 const std::vector<std::string>& parts) {
  Process process(command);
  Outcome o = process.wait(std::chrono::seconds(30));
  CAPTURE(parts[0]);
  INFO(o.err);
  CHECK(o.exit_code == exit_code);
  CHECK(o.seconds < kSoon);
  CHECK(wait_until([&] { return process.family().empty(); }, std::chrono::seconds(5)));
  auto lines = error_lines(o.err);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("litelang-run: "));
  CHECK(lines[0].size() < 500);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(lines[0].find(part) != std::string::npos);
  }
}

// A job over a sound input and output, with something wrong in `sets`.
void check_job_fails(int np, const std::vector<std::string>& sets, int exit_code,
                     const std::vector<std::string>& parts) {
  TempFolder folder;
  Batch batch{.np = np, .sets = sets};
  std::string output = folder.path("out");
  check_fails(batch_command(batch, folder.write("in", one_request()), output), exit_code, parts);
  CHECK_FALSE(std::filesystem::exists(output));  // of a run that answered nothing
}

void check_config_fails(const std::string& yaml, const std::vector<std::string>& parts) {
  TempFolder folder;
  std::string path = folder.write("job.yaml", yaml);
  check_fails({"mpirun", "--allow-run-as-root", "--quiet", "--oversubscribe", "-np", "2",
               program("litelang-run"), path},
              kUsage, parts);
}

// The folder of the tiny model, with one of its files replaced.
class BrokenModel {
 public:
  BrokenModel(const std::string& replaced, const std::string& text) {
    for (const auto& entry : std::filesystem::directory_iterator(model_folder("tiny-qwen2-docs")))
      std::filesystem::copy(entry.path(), folder_.path(entry.path().filename()));
    folder_.write(replaced, text);
  }
  std::string path() const { return folder_.path(""); }
  std::string set() const { return "model.path=" + path(); }

 private:
  TempFolder folder_;
};

std::string tiny(const std::string& name) {
  return read_file(model_folder("tiny-qwen2-docs") + "/" + name);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("configurations: file, line, key, and the nearest key") {
  check_config_fails("model:\n  pth: x\n", {"job.yaml:2: unknown key model.pth", "model.path"});
  check_config_fails("kv_cache:\n  page_size: big\n", {"job.yaml:2: kv_cache.page_size: 'big'"});
  check_config_fails("scheduler:\n  max_num_seqs: -1\n", {"job.yaml:2", "-1 is outside 0 to"});
  check_config_fails("model: {path: x}\n\nmodel: {path: y}\n", {"job.yaml:3: model: given twice"});
  check_config_fails("model:\n  path: [x\n", {"job.yaml:", "not valid YAML"});
  check_config_fails("grid: {y: 2}\n", {"model.path is missing"});
  check_config_fails("model: {path: x}\n", {"job.input is missing"});
  check_config_fails("model: x\n", {"job.yaml:1: model: is a section"});
  check_job_fails(2, {"page_size=3"}, kUsage, {"unknown key page_size", "kv_cache.page_size"});
  check_job_fails(2, {"seed"}, kUsage, {"--set seed: expected key.path=value"});
  check_fails({"mpirun", "--allow-run-as-root", "--quiet", "--oversubscribe", "-np", "2",
               program("litelang-run"), "nowhere.yaml"},
              kUsage, {"nowhere.yaml: cannot read"});
  check_fails({"mpirun", "--allow-run-as-root", "--quiet", "--oversubscribe", "-np", "2",
               program("litelang-run"), "--config", "x"},
              kUsage, {"--config"});
}

TEST_CASE("grids that do not match the ranks or the model") {
  check_job_fails(2, {"grid.y=3"}, kUsage, {"is 3 ranks, but 2 were started", "-np 3"});
  check_job_fails(5, {}, kUsage, {"5 ranks, but the model has 4 query heads", "that works is 4"});
  check_job_fails(2, {"grid.x=3"}, kUsage, {"grid.x = 3", "hidden size"});
}

TEST_CASE("input and output") {
  TempFolder folder;
  std::string in = folder.write("in", one_request()), full = folder.write("full", "kept\n");
  check_fails(batch_command({.np = 2}, folder.path("none"), folder.path("out")), kError,
              {"none: cannot open: No such file", "job.input"});
  check_fails(batch_command({.np = 2}, folder.path(""), folder.path("out")), kError,
              {"is a folder"});
  check_fails(batch_command({.np = 2}, in, full), kError,
              {"full: exists already", "job.overwrite: true"});
  CHECK(read_file(full) == "kept\n");
  check_fails(batch_command({.np = 2}, in, folder.path("no/folder/out")), kError,
              {"no/folder/out.partial: cannot write"});
}

TEST_CASE("a job that fails before its first answer leaves the old answers") {
  TempFolder folder;
  std::string in = folder.write("in", one_request()), old = folder.write("old", "answers\n");
  Batch typo{.np = 2, .model = folder.path("modle.h5"), .sets = {"job.overwrite=true"}};
  check_fails(batch_command(typo, in, old), kError, {"modle.h5: no such file"});
  CHECK(read_file(old) == "answers\n");
}

TEST_CASE("an output that is an input or the model is refused") {
  TempFolder folder;
  std::string in = folder.write("in", one_request());
  std::filesystem::create_directory(folder.path("model"));
  for (std::string name : {"config.json", "tokenizer.json", "model.safetensors"})
    folder.write("model/" + name, tiny(name));
  std::filesystem::create_hard_link(folder.path("model/config.json"), folder.path("linked"));
  Batch batch{.np = 1, .model = folder.path("model"), .sets = {"job.overwrite=true"}};
  check_fails(batch_command(batch, in, in), kUsage, {"in is job.input, too"});
  check_fails(batch_command(batch, in, folder.path("linked")), kUsage, {"is a file of the model"});
  CHECK(read_file(in) == one_request());
  CHECK(read_file(folder.path("linked")) == tiny("config.json"));
}

// Limits in kilobytes; they hold for the ranks' other files, too.
TEST_CASE("a limit on the size of files ends a job with whole lines, and a conversion") {
  TempFolder folder;
  std::vector<Json> requests;
  for (int i = 0; i < 16; ++i)
    requests.push_back(completion(
        fmt::format("{}", i), "The kernel",
        {{"max_tokens", 24}, {"n", 64}, {"logprobs", 20}, {"seed", i}, {"ignore_eos", true}}));
  std::string out = folder.path("out");
  auto limited = [](int kilobytes, const std::vector<std::string>& command) {
    std::string line = fmt::format("ulimit -c 0; ulimit -f {}; exec", kilobytes);
    for (const std::string& word : command) line += " '" + word + "'";
    return std::vector<std::string>{"bash", "-c", line};
  };
  Outcome o = run(limited(7000, batch_command({}, folder.write("in", jsonl(requests)), out)));
  INFO(o.err);
  CHECK(o.exit_code == 1);
  CHECK(o.err.find(out + ".partial: cannot write: File too large; the lines before are whole") !=
        o.err.npos);
  auto lines = lines_of(read_file(out + ".partial"));
  CHECK(!lines.empty());
  for (const std::string& line : lines) CHECK(Json::accept(line));
  Outcome rest = run(batch_command({}, folder.path("in"), out));  // with room again
  INFO(rest.err);
  CHECK(rest.exit_code == 0);
  CHECK(lines_of(read_file(out)).size() == requests.size());

  Outcome convert = run(limited(1000, {program("litelang"), "convert", "--quiet",
                                       model_folder("tiny-qwen2-docs"), folder.path("m.h5")}));
  INFO(convert.err);
  CHECK(convert.exit_code == 1);
  CHECK(lines_of(convert.err).size() == 1);
  CHECK(convert.err.starts_with("litelang-convert: "));
  CHECK_FALSE(std::filesystem::exists(folder.path("m.h5")));
}

TEST_CASE("weight files that are missing, cut short or damaged") {
  TempFolder folder;
  std::string sound = read_file(model_file("tiny-qwen2-docs"));
  auto check_file = [&](const std::string& name, const std::string& bytes) {
    check_job_fails(2, {"model.path=" + folder.write(name, bytes)}, kError, {name + ": "});
  };
  check_job_fails(2, {"model.path=" + folder.path("none.h5")}, kError, {"none.h5: "});
  check_file("empty.h5", "");
  check_file("text.h5", "not a weight file\n");
  check_file("short.h5", sound.substr(0, sound.size() - 100'000));
  check_file("half.h5", sound.substr(0, sound.size() / 2));
  std::string damaged = sound;
  for (size_t i = 64; i < 4096; i += 7) damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
  check_file("damaged.h5", damaged);
  // A block of a weight. Ranks check the chunks that they read whole, so of several none may see
  // it.
  damaged = sound;
  for (size_t i = sound.size() / 2; i < sound.size() / 2 + 4096; ++i) damaged[i] ^= 0x11;
  std::string path = folder.write("block.h5", damaged);
  check_job_fails(1, {"model.path=" + path}, kError, {"block.h5: damaged: rows "});
  Outcome o = run({program("litelang"), "verify", path});
  CHECK(o.exit_code == kError);
  CHECK(o.err.starts_with("litelang: " + path + ": damaged: rows "));
  CHECK(lines_of(o.err).size() == 1);
  CHECK(run({program("litelang"), "verify", model_file("tiny-qwen2-docs")}).exit_code == 0);
}

TEST_CASE("weights that are no numbers: requests end with an error, and verify names the tensor") {
  std::string weights = tiny("model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, weights.data(), 8);
  Json place = Json::parse(weights.substr(8, header))["model.layers.1.input_layernorm.weight"];
  size_t at = 8 + header + place["data_offsets"][0].get<size_t>();
  weights[at] = '\xc0', weights[at + 1] = '\x7f';
  BrokenModel model("model.safetensors", weights);
  BatchFiles files(jsonl({completion("a", "The kernel", {{"max_tokens", 4}, {"n", 2}}),
                          completion("b", "A scheduler", {{"temperature", 0}, {"logprobs", 2}})}));
  Process process(files.command({.np = 2, .sets = {model.set()}}));
  Outcome o = process.wait(std::chrono::seconds(60));
  INFO(o.err);
  CHECK_FALSE(o.timed_out);
  std::vector<std::string> lines = BatchFiles::sorted(files.out);
  REQUIRE(lines.size() == 2);
  for (const std::string& line : lines)
    CHECK(line.find("no token could be drawn") != std::string::npos);
  Outcome verify = run({program("litelang"), "verify", model.path()});
  CHECK(verify.exit_code == kError);
  CHECK(verify.err.find("NaN or infinite values in model.layers.1.input_layernorm.weight") !=
        std::string::npos);
}

TEST_CASE("safetensors whose headers lie") {
  std::string sound = tiny("model.safetensors");
  auto check_weights = [](const std::string& bytes, const std::string& part = "model.safetensors") {
    BrokenModel model("model.safetensors", bytes);
    check_job_fails(2, {model.set()}, kError, {part});
  };
  uint64_t header = 0;
  std::memcpy(&header, sound.data(), 8);
  auto with_header = [&](const std::string& text) {
    uint64_t size = text.size();
    return std::string(reinterpret_cast<const char*>(&size), 8) + text + sound.substr(8 + header);
  };
  std::string json = sound.substr(8, header);
  check_weights("\xff\xff\xff\xff\xff\xff\xff\x7f" + sound.substr(8));
  check_weights(sound.substr(0, sound.size() - 1000));
  check_weights("abc");
  check_weights(with_header(replaced(json, "\"BF16\"", "\"F64\"")));
  check_weights(with_header(replaced(json, "\"shape\":[", "\"shape\":[2,")));
  check_weights(with_header(replaced(json, "model.norm.weight", "model.norm.wait")),
                "model.norm.weight is missing");
  check_weights(with_header(json.substr(0, json.size() / 2)));
}

TEST_CASE("broken tokenizers and model descriptions") {
  auto check_text = [](const std::string& name, const std::string& text) {
    BrokenModel model(name, text);
    check_job_fails(2, {model.set()}, kError, {name});
  };
  std::string tokenizer = tiny("tokenizer.json");
  check_text("tokenizer.json", tokenizer.substr(0, tokenizer.size() / 2));
  check_text("tokenizer.json", replaced(tokenizer, "\"BPE\"", "\"WordPiece\""));
  check_text("tokenizer.json", "[]");
  check_text("config.json", "{");
  check_text("config.json",
             replaced(tiny("config.json"), "\"hidden_size\": 256", "\"hidden_size\": 250"));
  check_text("config.json", replaced(tiny("config.json"), "\"qwen2\"", "\"llama\""));
  check_text("tokenizer_config.json", "{\"chat_template\": \"x");
  check_text("generation_config.json", "{\"temperature\": \"hot\"}");
  check_text("generation_config.json", "{\"eos_token_id\": [8000, 8192]}");
}

TEST_CASE("not enough memory: refused with the numbers, before anything is allocated") {
  check_job_fails(2, {"kv_cache.memory_bytes=100TB"}, kError,
                  {"not enough memory", "kv_cache.memory_bytes 100000000.0 MB"});
  std::string config = tiny("config.json");
  config = replaced(config, "\"hidden_size\": 256", "\"hidden_size\": 65536");
  config = replaced(config, "\"intermediate_size\": 768", "\"intermediate_size\": 262144");
  config = replaced(config, "\"num_attention_heads\": 4", "\"num_attention_heads\": 512");
  BrokenModel model("config.json", config);
  check_job_fails(2, {model.set(), "model.load_format=dummy"}, kError,
                  {"not enough memory: weights", "MB this rank may use"});
}

TEST_CASE("an address-space limit that hits a rank ends the job as well") {
  TempFolder folder;
  auto command = batch_command({.np = 2, .sets = {"kv_cache.memory_bytes=2GB"}},
                               folder.write("in", one_request()), folder.path("out"));
  std::string line = "ulimit -v 1500000; exec";
  for (const std::string& word : command) line += " '" + word + "'";
  check_fails({"bash", "-c", line}, kError, {"memory"});
}
