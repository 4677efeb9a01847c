#include "model/files/converter.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstring>

#include "base/output_stage.h"
#include "model/files/weight_tiling.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

void check_same(const std::string& path, const RawTensors& want) {
  WeightStore store = WeightStore::open(path);
  CHECK(store.weights().size() == want.size());
  for (const WeightInfo& info : store.weights())
    CHECK(read_whole(store, info) == want.at(info.name).bytes);
}

std::string convert_error(const std::string& source, const std::string& target,
                          ConvertOptions options = {}) {
  return error_of([&] { convert(source, target, options); });
}

// Splits the tensors over `parts` files under an index.
void shard_source(const std::string& folder, const RawTensors& tensors, size_t parts) {
  fs::remove(folder + "/model.safetensors");
  std::vector<RawTensors> files(parts);
  std::string map;
  size_t i = 0;
  for (const auto& [name, tensor] : tensors) {
    size_t part = i++ % parts;
    files[part][name] = tensor;
    map += fmt::format("{}\"{}\": \"part-{}.safetensors\"", map.empty() ? "" : ", ", name, part);
  }
  for (size_t part = 0; part < parts; ++part)
    write_text(fmt::format("{}/part-{}.safetensors", folder, part), safetensors_of(files[part]));
  write_text(folder + "/model.safetensors.index.json",
             "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {" + map + "}}");
}

}  // namespace

TEST_CASE("converter: the test models, verified, leave one file") {
  TemporaryFolder folder;
  for (const std::string& name : kModelNames) {
    ConvertOptions options{.verify = true, .overwrite = true};
    std::vector<std::string> phases;
    uint64_t last = 0;
    options.progress = [&](const ConvertProgress& p) {
      if (phases.empty() || phases.back() != p.phase) phases.emplace_back(p.phase), last = 0;
      CHECK(p.done >= last);
      CHECK(p.done <= p.total);
      last = p.done;
    };
    ConvertReport report = convert(kModels + name, folder / "m.h5", options);
    WeightStore store = WeightStore::open(folder / "m.h5");
    CHECK(report.num_tensors == std::ssize(store.weights()));
    CHECK(report.bytes == static_cast<uint64_t>(store.config().num_parameters()) * 2);
    CHECK(phases == std::vector<std::string>{"writing", "hashing", "syncing", "verifying"});
    CHECK(folder.files() == std::vector<std::string>{"m.h5"});
  }
}

TEST_CASE("converter: sources of each dtype, tied and not, whole and sharded") {
  for (const char* dtype : {"BF16", "F16", "F32"}) {
    for (bool tied : {true, false}) {
      TemporaryFolder folder;
      RawTensors tensors = write_model(folder / "hf", tied, dtype);
      convert(folder / "hf", folder / "m.h5", {});
      check_same(folder / "m.h5", tensors);
      shard_source(folder / "hf", tensors, 3);
      check_same(folder / "hf", tensors);
      convert(folder / "hf", folder / "m.h5", {.overwrite = true});
      check_same(folder / "m.h5", tensors);
    }
  }
}

TEST_CASE("converter: the texts travel along") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  write_text(folder / "hf/tokenizer.json", read_file(kModels + "tiny-qwen2-docs/tokenizer.json"));
  write_text(folder / "hf/generation_config.json", R"({"do_sample": true, "temperature": 0.5})");
  write_text(folder / "hf/chat_template.jinja", "{{ messages }}");
  convert(folder / "hf", folder / "m.h5", {});
  WeightStore store = WeightStore::open(folder / "m.h5");
  CHECK(store.tokenizer_json() == read_file(folder / "hf/tokenizer.json"));
  CHECK(store.tokenizer_config_json().empty());
  CHECK(store.chat_template() == "{{ messages }}");
  CHECK(store.generation_config().temperature == 0.5f);
  CHECK(load_config_only(folder / "m.h5").hidden_size == 64);
  CHECK(load_model_texts(folder / "m.h5").chat_template == "{{ messages }}");
}

TEST_CASE("converter: --shard-size splits, and the index joins") {
  TemporaryFolder folder;
  RawTensors tensors = write_model(folder / "hf", false);
  ConvertOptions options;
  options.shard_size = 60000;
  options.verify = true;
  ConvertReport report = convert(folder / "hf", folder / "m.h5", options);
  CHECK(report.num_files == 4);
  CHECK(folder.files() == std::vector<std::string>{"hf", "m-00001-of-00003.h5",
                                                   "m-00002-of-00003.h5", "m-00003-of-00003.h5",
                                                   "m.h5"});
  check_same(folder / "m.h5", tensors);
  fs::create_directory(folder / "moved");
  for (const std::string& name : folder.files())
    if (name.ends_with(".h5")) fs::rename(folder / name, folder / ("moved/" + name));
  check_same(folder / "moved/m.h5", tensors);
  CHECK(contains(error_of([&] { WeightStore::open(folder / "moved/m-00002-of-00003.h5"); }),
                 "open the index"));

  convert(folder / "moved/m.h5", folder / "joined.h5", {});
  check_same(folder / "joined.h5", tensors);

  write_text(folder / "hf/chat_template.jinja", "another model");
  convert(folder / "hf", folder / "n.h5", options);
  fs::copy_file(folder / "n-00002-of-00003.h5", folder / "moved/m-00002-of-00003.h5",
                fs::copy_options::overwrite_existing);
  CHECK(
      contains(error_of([&] { WeightStore::open(folder / "moved/m.h5"); }), "another conversion"));
  fs::remove(folder / "moved/m-00002-of-00003.h5");
  CHECK(contains(error_of([&] { WeightStore::open(folder / "moved/m.h5"); }),
                 "m-00002-of-00003.h5: is missing"));
}

TEST_CASE("converter: a shard size that all fits in makes one plain file") {
  TemporaryFolder folder;
  RawTensors tensors = write_model(folder / "hf");
  ConvertOptions options;
  options.shard_size = 1 << 30;
  CHECK(convert(folder / "hf", folder / "m.h5", options).num_files == 1);
  CHECK(folder.files() == std::vector<std::string>{"hf", "m.h5"});
  check_same(folder / "m.h5", tensors);
}

TEST_CASE("converter: the same source gives the same bytes") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  convert(folder / "hf", folder / "a.h5", {});
  convert(folder / "hf", folder / "b.h5", {});
  CHECK(read_file(folder / "a.h5") == read_file(folder / "b.h5"));
}

TEST_CASE("converter: tiles fall where ranks cut, and have a sensible size") {
  ModelConfig c;
  c.hidden_size = 8192, c.intermediate_size = 29568, c.num_layers = 1;
  c.num_heads = 64, c.num_kv_heads = 8, c.head_dim = 128, c.vocab_size = 152064;
  auto tile = [&](const std::string& name) {
    for (const WeightInfo& info : weight_table(c))
      if (info.name.ends_with(name)) return tiling_of(info, c, DType::bf16);
    return Tiling{};
  };
  CHECK(tile("gate_proj.weight") == Tiling{1848, 512});
  CHECK(tile("down_proj.weight") == Tiling{512, 1848});
  CHECK(tile("q_proj.weight") == Tiling{512, 512});
  CHECK(tile("k_proj.weight") == Tiling{128, 1024});
  CHECK(tile("o_proj.weight") == Tiling{512, 512});
  CHECK(tile("q_proj.bias") == Tiling{8192, 1});
  CHECK(tile("embed_tokens.weight") == Tiling{216, 8192});
  for (int64_t heads : {14, 12, 16, 28, 40}) {
    c.num_heads = heads, c.num_kv_heads = 2, c.head_dim = 64, c.hidden_size = heads * 64;
    for (const WeightInfo& info : weight_table(c)) {
      Tiling t = tiling_of(info, c, DType::bf16);
      CHECK(info.shape[0] % t.rows == 0);
      if (info.shape.rank() == 1) continue;
      CHECK(info.shape[1] % t.cols == 0);
      int64_t bytes = t.rows * t.cols * 2;
      CHECK((bytes >= kMinTileBytes || bytes == info.shape.numel() * 2));
      CHECK(bytes <= 2 * kMaxTileBytes);
      if (info.name.ends_with("q_proj.weight")) CHECK(t.rows % 64 == 0);
    }
  }
}

TEST_CASE("converter: what cannot be done is said, and leaves nothing") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  CHECK(contains(convert_error(folder / "none", folder / "m.h5"), "no such file or folder"));
  CHECK(contains(convert_error(folder / "hf", folder / "m.bin"), "ends in .h5"));
  CHECK(contains(convert_error(folder / "hf", folder / "none/m.h5"), "no such folder"));
  fs::create_directory(folder / "dir.h5");
  CHECK(contains(convert_error(folder / "hf", folder / "dir.h5"), "is a folder"));
  CHECK(
      contains(error_of([&] { OutputStage(folder / "m.h5", uint64_t{1} << 60); }), "GB are free"));
  CHECK(folder.files() == std::vector<std::string>{"dir.h5", "hf"});
}

TEST_CASE("converter: stopped in any phase, it leaves the old file alone and nothing else") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  write_text(folder / "m.h5", "old");
  for (const char* phase : {"writing", "hashing", "syncing", "verifying"}) {
    ConvertOptions options;
    options.verify = options.overwrite = true;
    options.progress = [&](const ConvertProgress& p) {
      if (p.phase == phase && (p.done > 0 || p.phase == "hashing")) fail("stopped in {}", phase);
    };
    CHECK(convert_error(folder / "hf", folder / "m.h5", options) ==
          fmt::format("stopped in {}", phase));
    CHECK(folder.files() == std::vector<std::string>{"hf", "m.h5"});
    CHECK(read_file(folder / "m.h5") == "old");
  }
}

TEST_CASE("converter: killed, it leaves nothing under the final name") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  for (uint64_t at : {1, 60000, 130000}) {
    pid_t child = fork();
    if (child == 0) {
      ConvertOptions options;
      options.shard_size = 40000;
      options.progress = [&](const ConvertProgress& p) {
        if (p.done >= at) raise(SIGKILL);
      };
      convert_error(folder / "hf", folder / "m.h5", options);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    for (const std::string& name : folder.files()) CHECK_FALSE(name.ends_with(".h5"));
  }
  convert(folder / "hf", folder / "m.h5", {});
  CHECK(WeightStore::open(folder / "m.h5").config().num_layers == 2);
}

TEST_CASE("converter: a file that may not grow is one clear line") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  for (rlim_t limit : {0, 1000, 30000, 100000, 130000}) {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    pid_t child = fork();  // the HDF5 library does not recover from what this does to it
    if (child == 0) {
      struct rlimit small = {limit, limit};
      setrlimit(RLIMIT_FSIZE, &small);
      signal(SIGXFSZ, SIG_IGN);
      std::string error = convert_error(folder / "hf", folder / "m.h5");
      _exit(write(pipe_ends[1], error.data(), error.size()) < 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    std::string error(4096, '\0');
    error.resize(
        static_cast<size_t>(std::max<ssize_t>(0, read(pipe_ends[0], error.data(), error.size()))));
    for (int end : pipe_ends) close(end);
    CAPTURE(error);
    CHECK(contains(error, "m.h5: cannot be "));
    CHECK(contains(error, "File too large"));
    CHECK_FALSE(contains(error, "\n"));
    CHECK(folder.files() == std::vector<std::string>{"hf"});
  }
}

TEST_CASE("converter: a target that exists stays unless it may be replaced") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  write_text(folder / "m.h5", "precious");
  CHECK(contains(convert_error(folder / "hf", folder / "m.h5"), "exists already"));
  CHECK(read_file(folder / "m.h5") == "precious");
  convert(folder / "hf", folder / "m.h5", {.overwrite = true});
  CHECK(WeightStore::open(folder / "m.h5").weights().size() > 0);
}

TEST_CASE("converter: a tokenizer that no job could use is refused") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  for (const char* text : {R"({"model": {"type": "Unigram"}})", "{}", "[1"}) {
    write_text(folder / "hf/tokenizer.json", text);
    CHECK(contains(convert_error(folder / "hf", folder / "m.h5"), "hf: tokenizer.json"));
    CHECK(!fs::exists(folder / "m.h5"));
  }
}

TEST_CASE("converter: a tokenizer_config.json that is no JSON is refused") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  write_text(folder / "hf/tokenizer_config.json", R"({"chat_template": "x)");
  CHECK(contains(convert_error(folder / "hf", folder / "m.h5"), "hf: tokenizer_config.json: "));
  CHECK(!fs::exists(folder / "m.h5"));
}

TEST_CASE("converter: tensors with values that are no numbers are named, by verify as well") {
  TemporaryFolder folder;
  RawTensors tensors = write_model(folder / "hf");
  for (auto& [name, tensor] : tensors) std::fill(tensor.bytes.begin(), tensor.bytes.end(), '\x3f');
  auto write = [&] { write_text(folder / "hf/model.safetensors", safetensors_of(tensors)); };
  write();
  CHECK(convert(folder / "hf", folder / "sound.h5", {}).notes.empty());
  CHECK(error_of([&] { WeightStore::open(folder / "sound.h5").verify({}); }).empty());
  std::string& norm = tensors.at("model.norm.weight").bytes;
  norm[10] = '\x80', norm[11] = '\xff';  // minus infinity
  write();
  constexpr std::string_view kWhat = "NaN or infinite values in model.norm.weight: ";
  std::vector<std::string> notes = convert(folder / "hf", folder / "m.h5", {}).notes;
  REQUIRE(notes.size() == 1);
  CHECK(contains(notes[0], kWhat));
  for (const char* model : {"m.h5", "hf"})
    CHECK(contains(error_of([&] { WeightStore::open(folder / model).verify({}); }), kWhat));
}

TEST_CASE("converter: what a killed conversion left is removed, what runs is not") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  fs::create_directories(folder / "m.h5.tmp-1234567");
  write_text(folder / "m.h5.tmp-1234567/m.h5", "half");
  fs::create_directories(folder / "m.h5.tmp-7654321");
  int running = ::open((folder / "m.h5.tmp-7654321").c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(::flock(running, LOCK_EX) == 0);
  convert(folder / "hf", folder / "m.h5", {});
  CHECK(folder.files() == std::vector<std::string>{"hf", "m.h5", "m.h5.tmp-7654321"});
  ::close(running);
}
