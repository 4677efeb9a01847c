#include "model/files/weight_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <span>

#include "base/check.h"
#include "base/hash/sha256.h"
#include "base/printable.h"
#include "model/files/weight_store_layout.h"
#include "model/files/weight_values.h"

namespace ll {

namespace {

constexpr std::string_view kHead = "lm_head.weight", kEmbedding = "model.embed_tokens.weight";
constexpr int64_t kBandBytes = 4 << 20;

bool is_float(DType dtype) {
  return dtype == DType::bf16 || dtype == DType::f16 || dtype == DType::f32;
}

void check_tensor(const StoredModel& model, const WeightInfo& want) {
  auto it = model.tensors.find(want.name);
  check(it != model.tensors.end(), "{}: tensor {} is missing, config.json asks for it", model.path,
        want.name);
  const StoredTensor& have = it->second;
  check(have.foreign_type.empty(),
        "{}: tensor {} has dtype {}; BF16, F16 and F32 weights are supported", have.file->path(),
        want.name, have.foreign_type);
  check(have.shape == want.shape, "{}: tensor {} has the shape {}, config.json asks for {}",
        have.file->path(), want.name, have.shape.str(), want.shape.str());
  check(is_float(have.dtype), "{}: tensor {} is {}; bfloat16, float16 and float32 are supported",
        have.file->path(), want.name, name_of(have.dtype));
}

bool equal(const StoredTensor& a, const StoredTensor& b) {
  if (a.dtype != b.dtype || a.shape != b.shape) return false;
  auto row_bytes = static_cast<int64_t>(size_of(a.dtype)) * a.cols();
  int64_t rows_at_once = std::max<int64_t>(1, kBandBytes / row_bytes);
  std::vector<std::byte> left(static_cast<size_t>(rows_at_once * row_bytes)), right(left.size());
  for (int64_t row = 0; row < a.rows(); row += rows_at_once) {
    ShardSpec band = {{row, std::min(rows_at_once, a.rows() - row)}, {0, a.cols()}};
    read_stored(a, band, a.dtype, left.data(), nullptr);
    read_stored(b, band, b.dtype, right.data(), nullptr);
    if (std::memcmp(left.data(), right.data(), static_cast<size_t>(band.rows.size * row_bytes)) !=
        0)
      return false;
  }
  return true;
}

// Some programs save the head of a tied model too. It is the embedding, or the config lies.
void drop_tied_head(StoredModel& model) {
  auto head = model.tensors.find(kHead);
  if (head == model.tensors.end()) return;
  check(equal(head->second, model.tensors.find(kEmbedding)->second),
        "{}: {} differs from {}, but config.json has tie_word_embeddings true: set it to false to "
        "use this head",
        model.path, kHead, kEmbedding);
  model.tensors.erase(head);
}

// Else it is a buffer: rotary frequencies, a mask, positions, which some programs save, too.
bool is_parameter(std::string_view name) {
  bool is_mask = name.ends_with("attn.bias");
  return name.ends_with(".weight") || name.find("_proj.") != name.npos ||
         (name.ends_with(".bias") && !is_mask);
}

// Leaves the tensors that the model has; returns the names of those nobody needs.
std::vector<std::string> keep_tensors(StoredModel& model, const ModelConfig& config,
                                      const std::vector<WeightInfo>& weights) {
  for (const WeightInfo& want : weights) check_tensor(model, want);
  if (config.tie_word_embeddings) drop_tied_head(model);
  std::vector<std::string> unused;
  if (model.tensors.size() == weights.size()) return unused;
  std::vector<std::string_view> names;
  names.reserve(weights.size());
  for (const WeightInfo& want : weights) names.push_back(want.name);
  std::sort(names.begin(), names.end());
  for (const auto& [name, tensor] : model.tensors) {
    if (std::binary_search(names.begin(), names.end(), name)) continue;
    check(!is_parameter(name), "{}: tensor {} is none of this model's ({} layers)",
          tensor.file->path(), printable(name), config.num_layers);
    unused.push_back(name);
  }
  for (const std::string& name : unused) model.tensors.erase(model.tensors.find(name));
  return unused;
}

std::string config_name(const std::string& path) {
  return std::filesystem::is_directory(path)
             ? (std::filesystem::path(path) / "config.json").string()
             : path;
}

void check_exists(const std::string& path) {
  check(std::filesystem::exists(path),
        "{}: no such file or folder; a model is a weight file (.h5) or a Hugging Face folder",
        path);
}

}  // namespace

WeightStore WeightStore::open(const std::string& path) {
  check_exists(path);
  auto model = std::make_shared<StoredModel>(
      std::filesystem::is_directory(path) ? open_weight_folder(path) : open_weight_file(path));
  WeightStore store;
  store.config_ = parse_model_config(model->texts.config_json, config_name(path));
  const std::string& generation = model->texts.generation_config_json;
  store.generation_config_ = parse_generation_config(generation, path + ": generation_config.json");
  store.weights_ = std::make_shared<const std::vector<WeightInfo>>(weight_table(store.config_));
  store.unused_tensors_ = keep_tensors(*model, store.config_, *store.weights_);
  store.stored_ = std::move(model);
  return store;
}

const std::string& WeightStore::path() const { return stored_->path; }
const ModelTexts& WeightStore::texts() const { return stored_->texts; }

std::vector<std::string> WeightStore::notes() const {
  std::vector<std::string> notes;
  if (!config_.unused_keys.empty())
    notes.push_back(
        fmt::format("{}: not used: {}", config_name(path()), fmt::join(config_.unused_keys, ", ")));
  if (!unused_tensors_.empty())
    notes.push_back(fmt::format("{}: {} tensors are not used, {} among them", path(),
                                unused_tensors_.size(), printable(unused_tensors_.front())));
  return notes;
}

std::vector<std::string> WeightStore::files() const {
  std::vector<std::string> paths;
  for (const auto& [name, tensor] : stored_->tensors) paths.push_back(tensor.file->path());
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

const StoredTensor& WeightStore::tensor(std::string_view name) const {
  auto it = stored_->tensors.find(name);
  check(it != stored_->tensors.end(), "{}: has no tensor {}", stored_->path, printable(name));
  return it->second;
}

DType WeightStore::dtype(std::string_view name) const { return tensor(name).dtype; }

void WeightStore::read(std::string_view name, const ShardSpec& part, DType as, void* host_out,
                       TileSums* sums) const {
  read_stored(tensor(name), part, as, host_out, sums);
}

std::string WeightStore::digest() const {
  Sha256 hash;
  for (const auto& [name, t] : stored_->tensors) {
    if (t.sums.empty()) return "";
    std::string head = fmt::format("{} {} {} {}x{}\n", name, name_of(t.dtype), t.shape.str(),
                                   t.tile_rows, t.tile_cols);
    hash.update(std::as_bytes(std::span(head)));
    hash.update(std::as_bytes(std::span(t.sums)));
  }
  return hash.hex();
}

namespace {

// Calls take(values) with all values of a tensor, tile by tile where it has tiles.
template <class Take>
void read_through(const StoredTensor& t, TileSums& sums, const Take& take) {
  constexpr int64_t kBytes = 4 << 20;
  bool has_tiles = !t.sums.empty();
  auto element = static_cast<int64_t>(size_of(t.dtype));
  int64_t cols = has_tiles ? t.tile_cols : t.cols();
  int64_t rows = has_tiles ? t.tile_rows : std::max<int64_t>(1, kBytes / (cols * element));
  std::vector<std::byte> values;
  for (int64_t row = 0; row < t.rows(); row += rows)
    for (int64_t col = 0; col < t.cols(); col += cols) {
      ShardSpec part = {{row, std::min(rows, t.rows() - row)}, {col, cols}};
      values.resize(static_cast<size_t>(part.rows.size * cols * element));
      read_stored(t, part, t.dtype, values.data(), has_tiles ? &sums : nullptr);
      take(std::span<const std::byte>(values));
    }
}

}  // namespace

WeightStore::Verified WeightStore::verify(
    const std::function<void(uint64_t done, uint64_t total)>& progress) const {
  Verified verified;
  uint64_t total = 0;
  for (const auto& [name, t] : stored_->tensors) total += t.bytes();
  TileSums sums;
  for (const auto& [name, t] : stored_->tensors) {
    if (t.sums.empty()) ++verified.num_without_sum;
    int64_t bad = 0;
    read_through(t, sums, [&](std::span<const std::byte> values) {
      bad += num_not_finite(t.dtype, values);
      verified.bytes += values.size();
      if (progress) progress(verified.bytes, total);
    });
    check(bad == 0, "{}: {}", path(), not_finite_message({name}));
  }
  return verified;
}

ModelTexts load_model_texts(const std::string& path) {
  check_exists(path);
  if (std::filesystem::is_directory(path)) return read_model_texts(path);
  if (!path.ends_with(".json")) return read_weight_file_texts(path);
  ModelTexts texts;
  texts.config_json = InputFile(path).read_all(kMaxTextBytes);
  return texts;
}

ModelConfig load_config_only(const std::string& path) {
  return parse_model_config(load_model_texts(path).config_json, config_name(path));
}

}  // namespace ll
