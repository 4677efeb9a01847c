#pragma once
// Model folders made by tests, and what went wrong with them.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "model/files/weight_store.h"
#include "tests/support/errors.h"
#include "tests/support/read_file.h"
#include "tests/support/test_paths.h"

namespace ll::test {

namespace fs = std::filesystem;

inline const std::string kModels = data_path("models/");
inline const std::vector<std::string> kModelNames = {"tiny-qwen2-docs", "random-hd64",
                                                     "random-hd128"};

// Removed with all it holds at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> count = 0;
    path_ = fs::temp_directory_path() / fmt::format("litelang-test-{}-{}", ::getpid(), count++);
    fs::create_directories(path_);
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ / name; }
  std::string path() const { return path_; }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path_))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  fs::path path_;
};

inline void write_text(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

struct RawTensor {
  std::string dtype = "BF16";
  std::vector<int64_t> shape;
  std::string bytes;
};
using RawTensors = std::map<std::string, RawTensor>;

inline std::string header_of(const RawTensors& tensors) {
  std::string json = R"({"__metadata__":{"format":"pt"})";
  size_t at = 0;
  for (const auto& [name, t] : tensors) {
    json += fmt::format(R"(,"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", name,
                        t.dtype, fmt::join(t.shape, ","), at, at + t.bytes.size());
    at += t.bytes.size();
  }
  json += "}";
  return json + std::string((8 - json.size() % 8) % 8, ' ');
}

inline std::string with_length(const std::string& header) {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header;
}

inline std::string safetensors_of(const RawTensors& tensors) {
  std::string file = with_length(header_of(tensors));
  for (const auto& [name, t] : tensors) file += t.bytes;
  return file;
}

// Two layers; head_dim 16, 4 heads over 2 KV heads.
inline std::string small_config(bool tied, std::string_view dtype = "bfloat16") {
  return fmt::format(
      R"({{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
"num_key_value_heads": 2, "max_position_embeddings": 256, "rope_theta": 1000000.0, "rms_norm_eps": 1e-06,
"tie_word_embeddings": {}, "vocab_size": 120, "torch_dtype": "{}", "eos_token_id": 7}})",
      tied, dtype);
}

// Random bits: any pattern of an element, NaNs too.
inline RawTensors random_tensors(const ModelConfig& config, const std::string& dtype,
                                 unsigned seed) {
  std::mt19937 random(seed);
  RawTensors tensors;
  for (const WeightInfo& info : weight_table(config)) {
    RawTensor& t = tensors[info.name];
    t.dtype = dtype;
    for (int i = 0; i < info.shape.rank(); ++i) t.shape.push_back(info.shape[i]);
    t.bytes.resize(static_cast<size_t>(info.shape.numel()) * (dtype == "F32" ? 4 : 2));
    for (char& byte : t.bytes) byte = static_cast<char>(random());
  }
  return tensors;
}

// A folder with a small model; returns its tensors.
inline RawTensors write_model(const std::string& folder, bool tied = true,
                              const std::string& dtype = "BF16") {
  fs::create_directories(folder);
  std::string config = small_config(tied);
  RawTensors tensors = random_tensors(parse_model_config(config, "test"), dtype, 1);
  write_text(folder + "/config.json", config);
  write_text(folder + "/model.safetensors", safetensors_of(tensors));
  return tensors;
}

inline std::string read_part(const WeightStore& store, const std::string& name,
                             const ShardSpec& part, DType as) {
  std::string out(static_cast<size_t>(part.rows.size * part.cols.size) * size_of(as), '\0');
  store.read(name, part, as, out.data());
  return out;
}
inline std::string read_whole(const WeightStore& store, const WeightInfo& info) {
  return read_part(store, info.name, whole(info.shape), store.dtype(info.name));
}

}  // namespace ll::test
