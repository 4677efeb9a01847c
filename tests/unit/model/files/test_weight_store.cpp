#include "model/files/weight_store.h"

#include <doctest/doctest.h>

#include <cstring>
#include <thread>

#include "model/files/converter.h"
#include "tests/support/test_paths.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

// The HDF5 library (1.10.8) loses memory where an object's checksum is wrong. Asked for by name by
// the leak sanitizer, unused elsewhere.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace {

Range random_range(std::mt19937& random, int64_t extent) {
  auto begin = static_cast<int64_t>(random() % static_cast<uint64_t>(extent));
  return {begin, static_cast<int64_t>(random() % static_cast<uint64_t>(extent - begin + 1))};
}

std::string slice(const std::string& bytes, const Shape& shape, const ShardSpec& part,
                  size_t element) {
  int64_t cols = shape.rank() > 1 ? shape[1] : 1;
  std::string out;
  for (int64_t r = part.rows.begin; r < part.rows.end(); ++r)
    out += bytes.substr(static_cast<size_t>(r * cols + part.cols.begin) * element,
                        static_cast<size_t>(part.cols.size) * element);
  return out;
}

// Random blocks, and what each rank of a grid [x, Y] would take, against slices of the whole.
void check_blocks(const WeightStore& store, int num_random) {
  std::mt19937 random(3);
  for (const WeightInfo& info : store.weights()) {
    std::string all = read_whole(store, info);
    size_t element = size_of(store.dtype(info.name));
    ShardSpec full = whole(info.shape);
    std::vector<ShardSpec> parts = {full};
    for (int i = 0; i < num_random; ++i)
      parts.push_back({random_range(random, full.rows.size), random_range(random, full.cols.size)});
    for (int64_t n : {2, 3, 8}) {
      parts.push_back({split(full.rows.size, n, n - 1), full.cols});
      parts.push_back({full.rows, split(full.cols.size, n, n - 1)});
      parts.push_back({split(full.rows.size, n, 0), split(full.cols.size, n, n / 2)});
    }
    for (const ShardSpec& part : parts)
      CHECK(read_part(store, info.name, part, store.dtype(info.name)) ==
            slice(all, info.shape, part, element));
  }
}

std::string open_error(const std::string& path) {
  return error_of([&] { WeightStore::open(path); });
}

void rewrite(const std::string& folder, const RawTensors& tensors) {
  write_text(folder + "/model.safetensors", safetensors_of(tensors));
}

}  // namespace

TEST_CASE("weight store: a folder and its weight file read alike, in any block") {
  TemporaryFolder folder;
  for (const std::string& name : kModelNames) {
    WeightStore source = WeightStore::open(kModels + name);
    convert(kModels + name, folder / "model.h5", {.overwrite = true});
    WeightStore file = WeightStore::open(folder / "model.h5");
    CHECK(file.config_json() == read_file(kModels + name + "/config.json"));
    CHECK(file.tokenizer_json() == source.tokenizer_json());
    CHECK(file.config().num_parameters() == source.config().num_parameters());
    CHECK(file.weights().size() == source.weights().size());
    for (const WeightInfo& info : source.weights())
      CHECK(read_whole(file, info) == read_whole(source, info));
    check_blocks(source, 3);
    check_blocks(file, 6);
  }
}

TEST_CASE("weight store: the texts of a model") {
  WeightStore docs = WeightStore::open(kModels + "tiny-qwen2-docs");
  CHECK(docs.tokenizer_json() == read_file(kModels + "tiny-qwen2-docs/tokenizer.json"));
  CHECK(contains(docs.tokenizer_config_json(), "chat_template"));
  CHECK(docs.generation_config().eos_token_ids == std::vector<int32_t>{8000});
  CHECK(docs.chat_template().empty());
  CHECK(WeightStore::open(kModels + "random-hd64").tokenizer_json().empty());
}

TEST_CASE("weight store: every bit pattern converts as kernels/dtype.h does") {
  TemporaryFolder folder;
  struct Row {
    std::string dtype;
    DType type;
  };
  for (const Row& row : {Row{"BF16", DType::bf16}, Row{"F16", DType::f16}}) {
    RawTensors tensors = write_model(folder.path(), true, row.dtype);
    std::string& down = tensors["model.layers.0.mlp.down_proj.weight"].bytes;  // 64 x 96
    WeightStore store;
    for (unsigned pattern = 0, i = 0; pattern <= 0xffff; ++pattern) {
      std::memcpy(down.data() + 2 * i, &pattern, 2);
      if (++i < down.size() / 2 && pattern != 0xffff) continue;
      rewrite(folder.path(), tensors);
      store = WeightStore::open(folder.path());
      ShardSpec all = {{0, 64}, {0, 96}};
      std::string f = read_part(store, "model.layers.0.mlp.down_proj.weight", all, DType::f32);
      std::string b = read_part(store, "model.layers.0.mlp.down_proj.weight", all, DType::bf16);
      for (size_t k = 0; k < i; ++k) {
        uint16_t bits;
        uint32_t have_f;
        uint16_t have_b;
        std::memcpy(&bits, down.data() + 2 * k, 2);
        std::memcpy(&have_f, f.data() + 4 * k, 4);
        std::memcpy(&have_b, b.data() + 2 * k, 2);
        float want = row.type == DType::f16 ? to_float(f16{bits}) : to_float(bf16{bits});
        CHECK(have_f == std::bit_cast<uint32_t>(want));
        CHECK(have_b == (row.type == DType::bf16 ? bits : to_bf16(want).bits));
      }
      i = 0;
    }
  }
}

TEST_CASE("weight store: float32 weights round to bfloat16, part by part") {
  TemporaryFolder folder;
  RawTensors tensors = write_model(folder / "hf", false, "F32");
  convert(folder / "hf", folder / "m.h5", {});
  for (const std::string& path : {folder / "hf", folder / "m.h5"}) {
    WeightStore store = WeightStore::open(path);
    CHECK(store.dtype("lm_head.weight") == DType::f32);
    ShardSpec part = {{5, 30}, {7, 40}};
    std::string have = read_part(store, "lm_head.weight", part, DType::bf16);
    std::string source = slice(tensors["lm_head.weight"].bytes, {120, 64}, part, 4);
    for (size_t i = 0; i < source.size() / 4; ++i) {
      float x;
      uint16_t bits;
      std::memcpy(&x, source.data() + 4 * i, 4);
      std::memcpy(&bits, have.data() + 2 * i, 2);
      CHECK(bits == to_bf16(x).bits);
    }
  }
}

TEST_CASE("weight store: several threads read at once") {
  TemporaryFolder folder;
  convert(kModels + "random-hd128", folder / "m.h5", {});
  WeightStore store = WeightStore::open(folder / "m.h5");
  std::map<std::string, std::string> want;
  for (const WeightInfo& info : store.weights()) want[info.name] = read_whole(store, info);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 100; ++i) {
        const WeightInfo& info = store.weights()[random() % store.weights().size()];
        ShardSpec part = {random_range(random, info.shape[0]), whole(info.shape).cols};
        wrong += read_part(store, info.name, part, DType::bf16) !=
                 slice(want[info.name], info.shape, part, 2);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("weight store: an HDF5 file laid out by another program reads through the library") {
  WeightStore store = WeightStore::open(data_path("weight_files/h5py.h5"));
  CHECK(store.dtype("model.layers.0.mlp.down_proj.weight") == DType::f16);
  CHECK(store.dtype("model.layers.0.mlp.up_proj.weight") == DType::f32);
  for (const WeightInfo& info : store.weights()) {
    ShardSpec all = whole(info.shape);
    std::string bytes = read_part(store, info.name, all, DType::f32);
    for (int64_t i = 0; i < info.shape.numel(); ++i) {
      float have;
      std::memcpy(&have, bytes.data() + 4 * i, 4);
      CHECK(have == static_cast<float>((i * 7 + static_cast<int64_t>(info.name.size())) % 251));
    }
  }
  check_blocks(store, 10);
}

TEST_CASE("weight store: missing, extra and misshapen tensors are named") {
  TemporaryFolder folder;
  RawTensors good = write_model(folder.path());
  std::string victim = "model.layers.1.mlp.up_proj.weight";
  RawTensors tensors = good;
  tensors.erase(victim);
  rewrite(folder.path(), tensors);
  CHECK(contains(open_error(folder.path()), "tensor " + victim + " is missing"));
  tensors = good;
  tensors["model.layers.2.mlp.up_proj.weight"] = good.at(victim);
  rewrite(folder.path(), tensors);
  CHECK(contains(open_error(folder.path()),
                 "tensor model.layers.2.mlp.up_proj.weight is none of this model's"));
  tensors = good;
  std::swap(tensors[victim].shape[0], tensors[victim].shape[1]);
  rewrite(folder.path(), tensors);
  CHECK(contains(open_error(folder.path()),
                 "tensor " + victim + " has the shape [64, 96], config.json asks for [96, 64]"));
  tensors = good;
  tensors["model.norm.weight"].shape = {32, 2};
  rewrite(folder.path(), tensors);
  CHECK(contains(open_error(folder.path()), "tensor model.norm.weight has the shape [32, 2]"));
  tensors = good;
  tensors["model.norm.weight"] = {"I32", {64}, std::string(256, '\0')};
  rewrite(folder.path(), tensors);
  CHECK(contains(open_error(folder.path()), "tensor model.norm.weight is int32"));
  tensors["model.norm.weight"] = {"F8_E4M3", {64}, std::string(64, '\0')};
  rewrite(folder.path(), tensors);
  CHECK(contains(open_error(folder.path()), "tensor model.norm.weight has dtype F8_E4M3"));
}

TEST_CASE("weight store: what a folder has in the place of safetensors is said") {
  TemporaryFolder folder;
  write_model(folder.path());
  fs::remove(folder / "model.safetensors");
  auto check_says = [&](const char* name, std::string_view what) {
    write_text(folder / name, "x");
    CHECK(contains(open_error(folder.path()), what));
    fs::remove(folder / name);
  };
  check_says("notes.txt", "other weight formats are not supported");
  check_says("pytorch_model.bin", "pytorch_model.bin is PyTorch's: save the model again");
  check_says("model-q4.gguf", "model-q4.gguf is of another program");
  check_says("model-00001-of-00002.safetensors", "there is model-00001-of-00002.safetensors alone");
  check_says("adapter_config.json", "it holds an adapter");
}

TEST_CASE("weight store: buffers that programs save beside the parameters are left out") {
  TemporaryFolder folder;
  RawTensors tensors = write_model(folder.path());
  CHECK(WeightStore::open(folder.path()).notes().empty());
  for (const char* name : {"model.layers.0.self_attn.rotary_emb.inv_freq", "model.causal_mask",
                           "model.layers.1.self_attn.bias", "model.layers.1.self_attn.masked_bias"})
    tensors[name] = {"F32", {2}, std::string(8, '\0')};
  tensors["model.layers.0.self_attn.bias"] = {"BOOL", {1, 1, 2, 2}, std::string(4, '\1')};
  rewrite(folder.path(), tensors);
  std::vector<std::string> notes = WeightStore::open(folder.path()).notes();
  REQUIRE(notes.size() == 1);
  CHECK(notes[0] == folder.path() + ": 5 tensors are not used, model.causal_mask among them");
  convert(folder.path(), folder / "m.h5", {});
  CHECK(WeightStore::open(folder / "m.h5").notes().empty());
  // A parameter is another model's.
  for (const char* name : {"model.layers.0.self_attn.o_proj.bias", "model.norm.bias",
                           "model.layers.0.mlp.up_proj.weight_scale", "score.weight"}) {
    CAPTURE(name);
    RawTensors more = tensors;
    more[name] = {"F32", {2}, std::string(8, '\0')};
    rewrite(folder.path(), more);
    CHECK(contains(open_error(folder.path()), std::string("tensor ") + name + " is none of"));
  }
}

TEST_CASE("weight store: an index may list the head of a tied model that no file has") {
  TemporaryFolder folder;
  RawTensors tensors = write_model(folder.path());
  std::filesystem::rename(folder / "model.safetensors", folder / "1.safetensors");
  std::string map = R"("lm_head.weight": "1.safetensors")";
  for (const auto& [name, tensor] : tensors) map += ", \"" + name + "\": \"1.safetensors\"";
  write_text(folder / "model.safetensors.index.json", R"({"weight_map": {)" + map + "}}");
  CHECK(WeightStore::open(folder.path()).notes().empty());
}

TEST_CASE("weight store: the head of a tied model may only repeat the embedding") {
  TemporaryFolder folder;
  RawTensors tensors = write_model(folder.path());
  tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"];
  rewrite(folder.path(), tensors);
  WeightStore store = WeightStore::open(folder.path());
  CHECK(contains(error_of([&] { store.dtype("lm_head.weight"); }), "has no tensor lm_head.weight"));
  tensors["lm_head.weight"].bytes.back() ^= 1;
  rewrite(folder.path(), tensors);
  CHECK(
      contains(open_error(folder.path()), "lm_head.weight differs from model.embed_tokens.weight"));
  tensors["lm_head.weight"] = tensors["model.norm.weight"];
  rewrite(folder.path(), tensors);
  CHECK(contains(open_error(folder.path()), "lm_head.weight differs"));
}

TEST_CASE("weight store: what is no model says so") {
  TemporaryFolder folder;
  CHECK(contains(open_error(folder / "none"), "no such file or folder"));
  CHECK(contains(open_error(folder.path()), "has no config.json"));
  write_text(folder / "config.json", small_config(true));
  CHECK(contains(open_error(folder.path()), "has neither model.safetensors"));
  CHECK(contains(open_error(folder / "config.json"), "is not a weight file"));
  write_text(folder / "empty.h5", "");
  CHECK(contains(open_error(folder / "empty.h5"), "is not a weight file"));
  write_text(folder / "magic.h5", std::string("\x89HDF\r\n\x1a\n", 8) + std::string(100, 'x'));
  CHECK(contains(open_error(folder / "magic.h5"), "is not a readable HDF5 file"));
  CHECK(load_config_only(folder.path()).num_layers == 2);
  CHECK(load_config_only(folder / "config.json").num_layers == 2);
}

TEST_CASE("weight store: a weight file cut short is an error") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  convert(folder / "hf", folder / "m.h5", {});
  std::string whole_file = read_file(folder / "m.h5"), path = folder / "cut.h5";
  for (size_t size = 0; size < whole_file.size(); size += size < 4096 ? 97 : 1511) {
    write_text(path, whole_file.substr(0, size));
    std::string error = open_error(path);
    CHECK(error.starts_with(path));
    CHECK_FALSE(contains(error, "\n"));
  }
  write_text(path, whole_file);
  WeightStore store = WeightStore::open(path);
  fs::resize_file(path, 1000);
  CHECK(contains(error_of([&] {
                   for (const WeightInfo& i : store.weights()) read_whole(store, i);
                 }),
                 "was it replaced?"));
}

TEST_CASE("weight store: a flipped bit is an error or one flipped bit") {
  TemporaryFolder folder;
  write_model(folder / "hf");
  convert(folder / "hf", folder / "m.h5", {});
  std::string whole_file = read_file(folder / "m.h5"), path = folder / "flipped.h5";
  auto read_all = [](const std::string& p) {
    WeightStore store = WeightStore::open(p);
    std::string all(store.config_json());
    for (const WeightInfo& info : store.weights()) all += read_whole(store, info);
    return all;
  };
  std::string want = read_all(folder / "m.h5");
  std::mt19937 random(5);
  int refused = 0, num_flips = 1500;
  for (int i = 0; i < num_flips; ++i) {
    std::string flipped = whole_file;
    // Half of them in the first pages and the last, where the library's own structures are dense.
    size_t at = i % 4 == 0   ? random() % 2048
                : i % 4 == 1 ? flipped.size() - 1 - random() % 2048
                             : random() % flipped.size();
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << random() % 8));
    write_text(path, flipped);
    std::string have;
    if (!error_of([&] { have = read_all(path); }).empty()) {
      ++refused;
      continue;
    }
    int wrong = 0;
    if (have.size() == want.size())
      for (size_t k = 0; k < want.size(); ++k) wrong += have[k] != want[k];
    CHECK(wrong <= 1);
  }
  CHECK(refused > 100);
}
