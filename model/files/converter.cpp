#include "model/files/converter.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/check_call.h"
#include "base/hash/sha256.h"
#include "base/json_tree.h"
#include "base/output_stage.h"
#include "base/write_all.h"
#include "model/files/file_hasher.h"
#include "model/files/weight_store.h"
#include "model/files/weight_store_writer.h"
#include "model/files/weight_values.h"
#include "model/text/tokenizer.h"

namespace ll {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kCopiedBytes = 4 << 20;
constexpr uint64_t kMetadataBytes = 4 << 20, kMetadataBytesPerTensor = 8 << 10;

// A staged file, open for writing at any offset.
class OutputFile {
 public:
  explicit OutputFile(std::string path) : path_(std::move(path)) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    check_call(fd_ >= 0, "{}: cannot be written", path_);
  }
  ~OutputFile() { ::close(fd_); }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Claims the whole file's blocks, so that a full disk shows before the work is done.
  void reserve() {
    auto size = static_cast<off_t>(fs::file_size(path_));
    bool full =
        ::fallocate(fd_, 0, 0, size) != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG);
    check(!full, "{}: cannot be written: {} ({} bytes are needed)", path_, std::strerror(errno),
          size);
  }

  void write(uint64_t offset, std::span<const std::byte> data) {
    std::string_view bytes(reinterpret_cast<const char*>(data.data()), data.size());
    check_call(write_all_at(fd_, bytes, static_cast<int64_t>(offset)), "{}: cannot be written",
               path_);
  }

 private:
  std::string path_;
  int fd_ = -1;
};

// Counts the bytes of a phase and tells the caller.
class Meter {
 public:
  Meter(const ConvertOptions& options, std::string_view phase, uint64_t total)
      : options_(options), state_{phase, 0, total} {
    advance_to(0);
  }
  void advance(uint64_t bytes) { advance_to(state_.done + bytes); }
  void advance_to(uint64_t done) {
    state_.done = done;
    if (options_.progress) options_.progress(state_);
  }

 private:
  const ConvertOptions& options_;
  ConvertProgress state_;
};

// The files to write, the one under the target's own name last. Their paths are still file names.
std::vector<WeightFilePlan> plan_files(const WeightStore& source, const std::string& target,
                                       uint64_t shard_size) {
  std::vector<WeightFilePlan> files(1);
  uint64_t filled = 0;
  for (const WeightInfo& info : source.weights()) {
    DType dtype = source.dtype(info.name);
    PlannedTensor tensor = {info, dtype, tiling_of(info, source.config(), dtype)};
    if (shard_size > 0 && filled > 0 && filled + tensor.bytes() > shard_size) {
      files.emplace_back();
      filled = 0;
    }
    filled += tensor.bytes();
    files.back().tensors.push_back(std::move(tensor));
  }
  fs::path name = fs::path(target).filename();
  if (files.size() > 1) {
    WeightFilePlan index;
    for (size_t i = 0; i < files.size(); ++i) {
      files[i].path =
          fmt::format("{}-{:05}-of-{:05}.h5", name.stem().string(), i + 1, files.size());
      for (const PlannedTensor& tensor : files[i].tensors)
        index.links.emplace(tensor.info.name, files[i].path);
    }
    files.push_back(std::move(index));
  }
  files.back().path = name;
  files.back().texts = source.texts();
  return files;
}

std::vector<std::string> names_of(const std::vector<WeightFilePlan>& files) {
  std::vector<std::string> names;
  names.reserve(files.size());
  for (const WeightFilePlan& file : files) names.push_back(file.path);
  return names;
}

using SumsByTensor = std::map<std::string, std::vector<uint64_t>>;

// One band of tiles at a time: its rows are read whole, then cut into the tiles. Returns the sums
// of the tiles; `num_bad` grows by the values that are NaN or infinite.
std::vector<uint64_t> write_tensor(const WeightStore& source, const std::string& name,
                                   const StoredTensor& place, OutputFile& file, Meter& meter,
                                   int64_t& num_bad) {
  std::vector<uint64_t> sums;
  auto element = static_cast<int64_t>(size_of(place.dtype));
  int64_t row_bytes = place.cols() * element, tile_row_bytes = place.tile_cols * element;
  std::vector<std::byte> band(static_cast<size_t>(place.tile_rows * row_bytes));
  std::vector<std::byte> tile(static_cast<size_t>(place.tile_rows * tile_row_bytes));
  for (int64_t i = 0; i < place.grid_rows(); ++i) {
    ShardSpec rows = {{i * place.tile_rows, place.tile_rows}, {0, place.cols()}};
    source.read(name, rows, place.dtype, band.data());
    num_bad += num_not_finite(place.dtype, band);
    for (int64_t j = 0; j < place.grid_cols(); ++j) {
      for (int64_t r = 0; r < place.tile_rows; ++r)
        std::memcpy(tile.data() + r * tile_row_bytes,
                    band.data() + r * row_bytes + j * tile_row_bytes,
                    static_cast<size_t>(tile_row_bytes));
      file.write(place.tiles[static_cast<size_t>(i * place.grid_cols() + j)], tile);
      sums.push_back(sum_of_rows(
          tile, place.is_vector() ? tile.size() : static_cast<size_t>(tile_row_bytes), 0));
    }
    meter.advance(band.size());
  }
  return sums;
}

// Returns the sums of each file, in their order.
std::vector<SumsByTensor> write_tensors(const WeightStore& source,
                                        const std::vector<WeightFilePlan>& files,
                                        const OutputStage& stage, Meter& meter,
                                        std::vector<std::string>& not_finite) {
  std::vector<SumsByTensor> all;
  for (const WeightFilePlan& plan : files) {
    SumsByTensor& sums = all.emplace_back();
    if (plan.tensors.empty()) continue;
    auto places = weight_file_tensors(stage.path_of(plan.path));
    OutputFile file(stage.path_of(plan.path));
    file.reserve();
    for (const PlannedTensor& tensor : plan.tensors) {
      const StoredTensor& place = places.at(tensor.info.name);
      ensure(!place.tiles.empty(), "the library laid a tensor out without tiles");
      int64_t num_bad = 0;
      sums[tensor.info.name] = write_tensor(source, tensor.info.name, place, file, meter, num_bad);
      if (num_bad > 0) not_finite.push_back(tensor.info.name);
    }
  }
  return all;
}

std::map<std::string, std::string> finish_hashes(FileHasher& hasher, const ModelTexts& texts,
                                                 const ConvertOptions& options) {
  Meter meter(options, "hashing", hasher.total_bytes());
  while (!hasher.is_done()) {
    meter.advance_to(hasher.done_bytes());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  std::map<std::string, std::string> hashes = hasher.hashes();
  for (const ModelText& entry : kModelTexts) {
    const std::string& text = texts.*entry.text;
    if (!text.empty()) hashes.emplace(entry.file, sha256_hex(text));
  }
  return hashes;
}

// The same of two conversions only when they made the same files.
std::string name_of_set(const std::map<std::string, std::string>& hashes,
                        const std::vector<WeightFilePlan>& files) {
  std::string facts;
  for (const auto& [source, hash] : hashes) facts += hash + "\n";
  for (const WeightFilePlan& file : files) facts += fmt::format("{}\n", file.tensors.size());
  return sha256_hex(facts);
}

// What is compared is what the disk has: the pages still in memory are let go first.
void verify(const WeightStore& source, const std::string& staged, Meter& meter) {
  WeightStore written = WeightStore::open(staged);
  for (const std::string& path : written.files()) {
    InputFile file(path);
    ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
  }
  for (const ModelText& entry : kModelTexts)
    check(source.texts().*entry.text == written.texts().*entry.text,
          "verification failed: {} of {} reads back differently", entry.file, source.path());
  for (const WeightInfo& info : source.weights()) {
    DType dtype = source.dtype(info.name);
    ShardSpec all = whole(info.shape);
    auto row_bytes = all.cols.size * static_cast<int64_t>(size_of(dtype));
    int64_t step = std::max<int64_t>(1, kCopiedBytes / row_bytes);
    std::vector<std::byte> want(static_cast<size_t>(step * row_bytes)), have(want.size());
    for (int64_t row = 0; row < all.rows.size; row += step) {
      ShardSpec band = {{row, std::min(step, all.rows.size - row)}, all.cols};
      auto bytes = static_cast<size_t>(band.rows.size * row_bytes);
      source.read(info.name, band, dtype, want.data());
      written.read(info.name, band, dtype, have.data());
      check(written.dtype(info.name) == dtype && std::memcmp(want.data(), have.data(), bytes) == 0,
            "verification failed: tensor {} of {} reads back differently; check the disk",
            info.name, source.path());
      meter.advance(bytes);
    }
  }
}

uint64_t bytes_of(const std::vector<WeightFilePlan>& files) {
  uint64_t bytes = 0;
  for (const WeightFilePlan& file : files)
    for (const PlannedTensor& tensor : file.tensors) bytes += tensor.bytes();
  return bytes;
}

uint64_t metadata_bytes(const WeightStore& source) {
  uint64_t bytes = kMetadataBytes + kMetadataBytesPerTensor * source.weights().size();
  for (const ModelText& entry : kModelTexts) bytes += (source.texts().*entry.text).size();
  return bytes;
}

}  // namespace

ConvertReport convert(const std::string& source_path, const std::string& target,
                      const ConvertOptions& options) {
  if (!target.ends_with(".h5")) fail_usage("{}: the name of a weight file ends in .h5", target);
  check(!fs::is_directory(target), "{}: is a folder", target);
  check(options.overwrite || !fs::exists(target),
        "{}: exists already; remove it, choose another name, or give --overwrite", target);
  WeightStore source = WeightStore::open(source_path);
  // What a job would refuse is said now.
  if (!source.tokenizer_json().empty())
    Tokenizer::from_json(source.tokenizer_json(), source_path + ": tokenizer.json");
  if (!source.tokenizer_config_json().empty())
    JsonTree::parse(source.tokenizer_config_json(), source_path + ": tokenizer_config.json");
  std::vector<WeightFilePlan> files = plan_files(source, target, options.shard_size);
  std::vector<std::string> names = names_of(files);
  uint64_t bytes = bytes_of(files);

  OutputStage stage(target, bytes + metadata_bytes(source));
  FileHasher hasher(source.files());
  for (const WeightFilePlan& file : files) {
    WeightFilePlan staged = file;
    staged.path = stage.path_of(file.path);
    create_weight_file(staged);
  }
  Meter writing(options, "writing", bytes);
  std::vector<std::string> notes = source.notes(), not_finite;
  std::vector<SumsByTensor> sums = write_tensors(source, files, stage, writing, not_finite);
  if (!not_finite.empty()) notes.push_back(not_finite_message(not_finite));
  std::map<std::string, std::string> hashes = finish_hashes(hasher, source.texts(), options);
  std::string set = name_of_set(hashes, files);
  for (size_t i = 0; i < names.size(); ++i)
    seal_weight_file(stage.path_of(names[i]), {hashes, set, std::move(sums[i])});
  Meter syncing(options, "syncing", bytes);
  stage.sync(names);
  syncing.advance(bytes);
  if (options.verify) {
    Meter verifying(options, "verifying", bytes);
    verify(source, stage.path_of(names.back()), verifying);
  }
  stage.commit(names);
  return {static_cast<int64_t>(source.weights().size()), static_cast<int64_t>(files.size()), bytes,
          std::move(notes)};
}

}  // namespace ll
