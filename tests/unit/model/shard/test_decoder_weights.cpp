#include "model/shard/decoder_weights.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "model/files/converter.h"
#include "model/shard/weight_reader.h"
#include "tests/support/device.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

ModelConfig make_config(int64_t heads, int64_t kv_heads, bool tied) {
  ModelConfig c;
  c.head_dim = 8;
  c.hidden_size = heads * c.head_dim;
  c.intermediate_size = 88;
  c.num_layers = 2;
  c.num_heads = heads;
  c.num_kv_heads = kv_heads;
  c.vocab_size = 150;
  c.tie_word_embeddings = tied;
  c.dtype = DType::f32;
  return c;
}

ModelShard shard_at(const ModelConfig& config, int y, int rank) {
  GridShape grid{.y = y};
  return shard_of(config, grid, place_of(grid, rank));
}

// The matrix behind a packed weight: its product with the identity, exact in float32 and bfloat16.
std::vector<float> unpack(const Weight& w, DType dtype) {
  std::vector<float> identity(static_cast<size_t>(w.cols * w.cols));
  for (int64_t i = 0; i < w.cols; ++i) identity[static_cast<size_t>(i * w.cols + i)] = 1;
  Tensor x = upload_floats(identity, {w.cols, w.cols}, dtype);
  Tensor out(backend().device, DType::f32, {w.cols, w.rows});
  backend().ops.linear(stream(), {out, x, w, {}});
  auto transposed = download_floats(out);
  std::vector<float> natural(transposed.size());
  for (int64_t r = 0; r < w.rows; ++r)
    for (int64_t c = 0; c < w.cols; ++c)
      natural[static_cast<size_t>(r * w.cols + c)] =
          transposed[static_cast<size_t>(c * w.rows + r)];
  return natural;
}

// Rows and columns of each tensor by its Hugging Face name, as a rank holds them.
using Pieces = std::vector<std::pair<WeightPlacement::Piece, std::vector<float>>>;

void add_pieces(Pieces& pieces, const WeightPlacement& p, const std::vector<float>& values) {
  REQUIRE(values.size() == static_cast<size_t>(p.rows * p.cols));
  size_t width = static_cast<size_t>(p.cols), row = 0;
  for (size_t b = 0; b < p.pieces.size(); ++b) {
    auto height = static_cast<size_t>(p.pieces[b].part.rows.size);
    std::vector<float> part;
    for (size_t r = 0; r < height; ++r) {
      size_t from = p.alternate() ? 2 * r + b : row + r;
      if (auto dim = static_cast<size_t>(p.pieces[b].turned);
          dim > 0)  // row i of a half: 2 i + half
        from = row + r / dim * dim + r % (dim / 2) * 2 + r % dim / (dim / 2);
      part.insert(part.end(), values.begin() + static_cast<int64_t>(from * width),
                  values.begin() + static_cast<int64_t>((from + 1) * width));
    }
    row += height;
    pieces.emplace_back(p.pieces[b], std::move(part));
  }
}

Pieces pieces_of(DecoderWeights& w, const WeightPlacements& placements) {
  Pieces pieces;
  for (const WeightPlacement& p : placements) {
    const PackedWeight& weight = w.at(p.row->part, p.layer);
    add_pieces(pieces, p,
               p.is_matrix() ? unpack(weight.weight, w.dtype)
                             : download_floats(p.is_bias ? weight.bias : weight.storage));
  }
  return pieces;
}

// Whole tensors, put together from the pieces of one rank that has all.
std::map<std::string, std::vector<float>> tensors_of(const Pieces& pieces) {
  std::map<std::string, std::vector<float>> tensors;
  for (const auto& [piece, values] : pieces) tensors[piece.name] = values;
  return tensors;
}

std::vector<float> slice(const std::vector<float>& whole, int64_t full_cols,
                         const ShardSpec& part) {
  std::vector<float> out;
  for (int64_t r = part.rows.begin; r < part.rows.end(); ++r)
    for (int64_t c = part.cols.begin; c < part.cols.end(); ++c)
      out.push_back(whole[static_cast<size_t>(r * full_cols + c)]);
  return out;
}

std::map<std::string, Shape> shapes_of(const ModelConfig& config) {
  std::map<std::string, Shape> shapes;
  for (const WeightInfo& info : weight_table(config)) shapes[info.name] = info.shape;
  return shapes;
}

int64_t cols_of(const Shape& shape) { return shape.rank() > 1 ? shape[1] : 1; }

void check_slices(const Pieces& of_shard, const std::map<std::string, std::vector<float>>& whole,
                  const ModelConfig& config) {
  auto shapes = shapes_of(config);
  for (const auto& [piece, values] : of_shard) {
    CAPTURE(piece.name);
    CHECK(values == slice(whole.at(piece.name), cols_of(shapes.at(piece.name)), piece.part));
  }
}

size_t allocated_bytes(const DecoderWeights& w, bool tied) {
  size_t bytes = w.embed.storage.bytes() + (tied ? 0 : w.lm_head.storage.bytes()) +
                 w.final_norm.storage.bytes();
  for (const DecoderLayer& layer : w.layers)
    for (const WeightRow& row : kQwen2.layer)
      bytes += layer[row.part].storage.bytes() + (row.has_bias ? layer[row.part].bias.bytes() : 0);
  return bytes;
}

// Small whole numbers that are exact in every dtype.
std::string small_numbers(size_t count, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::string bytes(count * sizeof(float), '\0');
  for (size_t i = 0; i < count; ++i) {
    float value = static_cast<float>(rng() % 255) - 127;
    std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof value);
  }
  return bytes;
}

// A model folder of float32 weights; small_config's sizes.
void write_float_model(const std::string& folder, bool tied) {
  fs::create_directories(folder);
  std::string config = small_config(tied, "float32");
  RawTensors tensors = random_tensors(parse_model_config(config, "test"), "F32", 1);
  uint64_t seed = 0;
  for (auto& [name, t] : tensors) t.bytes = small_numbers(t.bytes.size() / sizeof(float), ++seed);
  write_text(folder + "/config.json", config);
  write_text(folder + "/model.safetensors", safetensors_of(tensors));
}

std::map<std::string, std::vector<float>> stored_tensors(const WeightStore& store) {
  std::map<std::string, std::vector<float>> tensors;
  for (const WeightInfo& info : store.weights()) {
    auto& values = tensors[info.name];
    values.resize(static_cast<size_t>(info.shape.numel()));
    store.read(info.name, whole(info.shape), DType::f32, values.data());
  }
  return tensors;
}

size_t num_threads() {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator()));
}

Pieces read_with(const WeightStore& store, const WeightPlacements& placements, int threads,
                 size_t staging_bytes) {
  Pieces pieces;
  size_t next = 0, seen = 0, total = 0;
  WeightReader reader(store, DType::f32, backend(), stream(), threads, staging_bytes);
  reader.read(
      placements,
      [&](size_t i, Tensor natural) {
        CHECK(i == next++);
        add_pieces(pieces, placements[i], download_floats(natural));
      },
      [&](size_t done, size_t of) {
        CHECK(done > seen);
        seen = done;
        total = of;
      });
  CHECK(next == placements.size());
  CHECK(seen == total);
  return pieces;
}

}  // namespace

TEST_CASE("the placements of a grid's ranks hold every tensor, KV heads as often as documented") {
  for (bool tied : {true, false})
    for (auto [heads, kv] : {std::pair<int64_t, int64_t>{4, 2}, {6, 2}, {7, 1}, {14, 2}, {5, 5}})
      for (int y = 1; y <= heads; ++y) {
        ModelConfig config = make_config(heads, kv, tied);
        CAPTURE(heads);
        CAPTURE(kv);
        CAPTURE(y);
        std::map<std::string, std::vector<int>> held;
        auto shapes = shapes_of(config);
        for (const auto& [name, shape] : shapes)
          held[name].resize(static_cast<size_t>(shape.numel()));
        std::vector<int> kv_holders(static_cast<size_t>(kv));
        for (int rank = 0; rank < y; ++rank) {
          ModelShard shard = shard_at(config, y, rank);
          for (int64_t h = shard.kv_heads.begin; h < shard.kv_heads.end(); ++h)
            ++kv_holders[static_cast<size_t>(h)];
          for (const WeightPlacement& p : weight_placements(config, shard)) {
            for (const auto& b : p.pieces)
              for (int64_t r = b.part.rows.begin; r < b.part.rows.end(); ++r)
                for (int64_t c = b.part.cols.begin; c < b.part.cols.end(); ++c)
                  ++held.at(b.name).at(static_cast<size_t>(r * cols_of(shapes.at(b.name)) + c));
          }
        }
        for (const auto& [name, counts] : held) {
          CAPTURE(name);
          bool is_norm = contains(name, "norm.weight");
          bool is_kv = contains(name, "k_proj") || contains(name, "v_proj");
          int64_t per_head = static_cast<int64_t>(counts.size()) / kv;
          for (size_t i = 0; i < counts.size(); ++i) {
            int want = is_norm ? y : is_kv ? kv_holders[i / static_cast<size_t>(per_head)] : 1;
            REQUIRE(counts[i] == want);
          }
        }
      }
}

TEST_CASE("dummy weights of a shard are slices of the whole model's") {
  for (DType dtype : {DType::f32, DType::bf16})
    for (auto [heads, kv] : {std::pair<int64_t, int64_t>{4, 2}, {6, 3}, {7, 1}}) {
      ModelConfig config = make_config(heads, kv, heads == 4);
      ModelShard all = shard_at(config, 1, 0);
      auto make = [&](const ModelShard& shard, uint64_t seed) {
        auto weights = random_weights(config, shard, dtype, backend(), stream(), seed);
        return pieces_of(weights, weight_placements(config, shard));
      };
      auto whole_model = tensors_of(make(all, 5));
      for (int y : {2, 4})
        for (int rank = 0; rank < y; ++rank) {
          CAPTURE(heads);
          CAPTURE(y);
          CAPTURE(rank);
          check_slices(make(shard_at(config, y, rank), 5), whole_model, config);
        }
      // Another seed, another model; other tensors, other numbers.
      CHECK(tensors_of(make(all, 6)) != whole_model);
      CHECK(whole_model.at("model.layers.0.self_attn.k_proj.weight") !=
            whole_model.at("model.layers.0.self_attn.v_proj.weight"));
      CHECK(whole_model.at("model.layers.0.mlp.down_proj.weight") !=
            whole_model.at("model.layers.1.mlp.down_proj.weight"));
      for (float v : whole_model.at("model.norm.weight")) REQUIRE(v == 1);
      const auto& table = whole_model.at("model.embed_tokens.weight");
      auto [low, high] = std::minmax_element(table.begin(), table.end());
      CHECK((*low < -0.03f && *low > -0.036f && *high > 0.03f && *high < 0.036f));
    }
}

TEST_CASE("loaded weights of a shard are the file's, whatever the number of ranks and readers") {
  TemporaryFolder folder;
  for (bool tied : {true, false}) {
    write_float_model(folder.path() + "/model", tied);
    WeightStore store = WeightStore::open(folder / "model");
    auto stored = stored_tensors(store);
    for (int y = 1; y <= 4; ++y)
      for (int rank = 0; rank < y; ++rank) {
        ModelShard shard = shard_at(store.config(), y, rank);
        WeightPlacements placements = weight_placements(store.config(), shard);
        for (DType dtype : {DType::f32, DType::bf16}) {
          DecoderWeights w = load_weights(store, shard, dtype, backend(), stream(), 1 + rank, {});
          check_slices(pieces_of(w, placements), stored, store.config());
          CHECK(weight_bytes(placements, backend().ops.packed_bytes, dtype) ==
                allocated_bytes(w, tied));
          if (tied) CHECK(w.lm_head.weight.data.data == w.embed.weight.data.data);
        }
      }
    fs::remove_all(folder / "model");
  }
}

TEST_CASE("the smallest staging buffers and more readers than pieces change nothing") {
  TemporaryFolder folder;
  write_float_model(folder.path() + "/model", false);
  WeightStore store = WeightStore::open(folder / "model");
  auto stored = stored_tensors(store);
  WeightPlacements placements = weight_placements(store.config(), shard_at(store.config(), 2, 1));
  for (size_t staging : {size_t{1}, size_t{700}, size_t{4096}, size_t{1} << 20})
    for (int threads : {1, 2, 16}) {
      CAPTURE(staging);
      CAPTURE(threads);
      size_t before = num_threads();
      check_slices(read_with(store, placements, threads, staging), stored, store.config());
      CHECK(num_threads() == before);
    }
}

TEST_CASE("a file that shrinks while it is read ends loading with an error and no thread") {
  TemporaryFolder folder;
  write_float_model(folder.path() + "/model", false);
  WeightStore store = WeightStore::open(folder / "model");
  WeightPlacements placements = weight_placements(store.config(), shard_at(store.config(), 1, 0));
  fs::resize_file(folder / "model/model.safetensors",
                  fs::file_size(folder / "model/model.safetensors") * 2 / 3);
  size_t before = num_threads();
  for (int threads : {1, 4, 16}) {
    std::string message = error_of([&] {
      WeightReader(store, DType::f32, backend(), stream(), threads, 4096)
          .read(placements, [](size_t, Tensor) {}, {});
    });
    CHECK(contains(message, "model.safetensors"));
    CHECK(contains(message, "ends at byte"));
    CHECK(num_threads() == before);
  }
}

TEST_CASE("a rank that reads whole tiles sees that they are damaged, unless it is not to look") {
  TemporaryFolder folder;
  convert(kModels + "tiny-qwen2-docs", folder / "m.h5", {});
  WeightStore store = WeightStore::open(folder / "m.h5");
  ModelShard shard = shard_at(store.config(), 1, 0);
  auto load = [&](bool verifies) {
    load_weights(store, shard, DType::bf16, backend(), stream(), 2, {}, verifies);
  };
  load(true);
  std::string whole = read_file(folder / "m.h5");
  for (size_t at = whole.size() / 8; at < whole.size() * 9 / 10; at += whole.size() / 8) {
    CAPTURE(at);
    std::string damaged = whole;
    for (size_t i = at; i < std::min(at + 4096, whole.size()); ++i) damaged[i] ^= 0x5a;
    write_text(folder / "m.h5", damaged);
    CHECK(contains(error_of([&] { load(true); }), "damaged: rows"));
    CHECK(error_of([&] { load(false); }).empty());
  }
}

TEST_CASE("an error of the one who takes the tensors ends loading, too") {
  TemporaryFolder folder;
  write_float_model(folder.path() + "/model", false);
  WeightStore store = WeightStore::open(folder / "model");
  WeightPlacements placements = weight_placements(store.config(), shard_at(store.config(), 1, 0));
  size_t before = num_threads();
  CHECK(error_of([&] {
          WeightReader(store, DType::f32, backend(), stream(), 4, 1024)
              .read(placements, [](size_t i, Tensor) { check(i < 5, "no room"); }, {});
        }) == "no room");
  CHECK(num_threads() == before);
}

TEST_CASE("auto keeps float32 and makes bfloat16 of all else") {
  CHECK(model_dtype(DType::f32) == DType::f32);
  CHECK(model_dtype(DType::bf16) == DType::bf16);
  CHECK(model_dtype(DType::f16) == DType::bf16);
}
