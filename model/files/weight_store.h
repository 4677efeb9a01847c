#pragma once
// A model's weights, read in parts.
//
// litelang-convert writes a weight file: HDF5 in the format of 1.10, with all metadata checksummed.
//
//   /model.layers.0.self_attn.q_proj.weight ...
//       One dataset per Hugging Face tensor under its own name, in its natural shape [out, in] and
//       the dtype of its source. bfloat16 is an HDF5 float type of 1 sign, 8 exponent and 7
//       mantissa bits, so any HDF5 program reads its values. There is no filter. The chunks are
//       the tiles of weight_tiling.h; they are allocated at once, so that a dataset is one run of
//       bytes, chunk after chunk in row-major order, on a page's boundary when above 64 KB. Its
//       attribute litelang_xxh64 is a checksum of each chunk (tile_sums.h).
//   /litelang/config.json, generation_config.json, tokenizer.json, tokenizer_config.json and
//   /litelang/chat_template.jinja
//       Those the model has, byte for byte, as vectors of uint8: an attribute ends at 64 KB.
//   /litelang/sha256
//       A group with an attribute for each source file: its name and its hash. Those of the texts
//       are checked whenever they are read.
//   root attributes
//       litelang_format (1), litelang_version, litelang_set; litelang_max_parts_x, _y and _vocab
//       are what the tiles were cut for.
//
// A model split over several files is an index, which is such a file with external links in place
// of the datasets, and NAME-00001-of-00003.h5 and so on beside it, of the same litelang_set.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/config/layer_table.h"
#include "model/config/model_config.h"
#include "model/config/model_texts.h"
#include "model/files/tile_sums.h"
#include "parallel/shard_spec.h"

namespace ll {

struct StoredModel;
struct StoredTensor;

// Cheap to copy. Everything is const and may be called from several threads.
class WeightStore {
 public:
  // A weight file, the index of several, or a Hugging Face folder of safetensors. Reads no weights,
  // save where a tied model brings an lm_head.weight too, which must then equal the embedding.
  // Throws Error when the files do not hold the tensors that config.json asks for, and where they
  // hold other parameters. Buffers that some programs save, too, are left out.
  static WeightStore open(const std::string& path);

  const std::string& path() const;
  // What of the files is not used though it looks as if it should be, a line each.
  std::vector<std::string> notes() const;
  const ModelConfig& config() const { return config_; }
  const GenerationConfig& generation_config() const { return generation_config_; }
  const ModelTexts& texts() const;
  std::string_view config_json() const { return texts().config_json; }
  std::string tokenizer_json() const { return texts().tokenizer_json; }  // empty: there is none
  std::string tokenizer_config_json() const { return texts().tokenizer_config_json; }
  std::string chat_template() const { return texts().chat_template; }

  const std::vector<WeightInfo>& weights() const { return *weights_; }  // weight_table(config())
  std::vector<std::string> files() const;                               // that hold the weights
  DType dtype(std::string_view name) const;                             // as stored

  // Fills host_out, [part.rows.size, part.cols.size] dense and row-major, converted to `as` (bf16,
  // f32, or the stored dtype). A vector's cols are [0, 1). Reads those bytes and few others.
  // `sums`, unless null, throws Error as soon as a tile that was read whole is damaged.
  void read(std::string_view name, const ShardSpec& part, DType as, void* host_out,
            TileSums* sums = nullptr) const;

  // 64 digits: the SHA-256 of what the file says of its weights, the checksums of their tiles among
  // it. Reads no weights; empty where the file lacks a sum.
  std::string digest() const;

  struct Verified {
    uint64_t bytes = 0;           // that are what was converted
    int64_t num_without_sum = 0;  // tensors that were not compared
  };
  // Reads all weights and holds them against the file's checksums, where it has them. `progress`
  // gets bytes done, of how many. Throws Error that names the first tensor that is damaged, or has
  // values that are NaN or infinite.
  Verified verify(const std::function<void(uint64_t done, uint64_t total)>& progress) const;

 private:
  const StoredTensor& tensor(std::string_view name) const;

  std::shared_ptr<const StoredModel> stored_;
  std::vector<std::string> unused_tensors_;
  std::shared_ptr<const std::vector<WeightInfo>> weights_;
  ModelConfig config_;
  GenerationConfig generation_config_;
};

// The texts or the shape alone: of a weight file, of a folder that needs no weights for it, or of a
// config.json.
ModelTexts load_model_texts(const std::string& path);
ModelConfig load_config_only(const std::string& path);

// The whole of a tensor as a part of itself.
inline ShardSpec whole(const Shape& shape) {
  return {{0, shape[0]}, {0, shape.rank() > 1 ? shape[1] : 1}};
}

}  // namespace ll
