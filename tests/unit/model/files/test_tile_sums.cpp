#include "model/files/tile_sums.h"

#include <doctest/doctest.h>

#include "model/files/converter.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

// All that a job takes from a weight file.
std::string contents(const WeightStore& store) {
  std::string all;
  for (const ModelText& entry : kModelTexts) all += store.texts().*entry.text;
  for (const WeightInfo& info : store.weights()) {
    size_t begin = all.size(),
           bytes = static_cast<size_t>(info.shape.numel()) * size_of(store.dtype(info.name));
    all.resize(begin + bytes);
    store.read(info.name, whole(info.shape), store.dtype(info.name), all.data() + begin);
  }
  return all;
}

}  // namespace

TEST_CASE("sums: whatever 4 kB of a weight file are damaged, it is refused or does not matter") {
  TemporaryFolder folder;
  std::mt19937_64 random(7);
  for (uint64_t shard_size : {uint64_t{0}, uint64_t{4} << 20}) {
    std::string path = folder / "m.h5";
    convert(kModels + "tiny-qwen2-docs", path, {.shard_size = shard_size, .overwrite = true});
    std::string right = contents(WeightStore::open(path));
    int num_refused = 0;
    for (int trial = 0; trial < 60; ++trial) {
      auto names = folder.files();
      std::string file = folder / names[random() % names.size()], bytes = read_file(file);
      std::string damaged = bytes;
      size_t at = random() % bytes.size() / 4096 * 4096;
      for (size_t i = at; i < std::min(at + 4096, bytes.size()); ++i)
        damaged[i] = static_cast<char>(random());
      write_text(file, damaged);
      CAPTURE(file);
      CAPTURE(at);
      std::string error = error_of([&] {
        WeightStore store = WeightStore::open(path);
        store.verify({});
        CHECK(contents(store) == right);
      });
      num_refused += error.empty() ? 0 : 1;
      write_text(file, bytes);
    }
    CHECK(num_refused > 50);
  }
}

TEST_CASE("sums: one flipped bit is named by tensor and place") {
  TemporaryFolder folder;
  convert(kModels + "tiny-qwen2-docs", folder / "m.h5", {});
  std::string bytes = read_file(folder / "m.h5");
  WeightStore::Verified verified = WeightStore::open(folder / "m.h5").verify({});
  CHECK(verified.num_without_sum == 0);
  CHECK(verified.bytes > bytes.size() * 9 / 10);
  bytes[bytes.size() / 2] ^= 1;
  write_text(folder / "m.h5", bytes);
  WeightStore store = WeightStore::open(folder / "m.h5");
  std::string error = error_of([&] { store.verify({}); });
  CHECK(contains(error, "m.h5: damaged: rows "));
  CHECK(contains(error, "of tensor model."));
}

TEST_CASE("sums: do not depend on the order or the pieces in which rows come") {
  std::vector<std::byte> rows(24 * 40);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::byte>(i * i >> 3);
  uint64_t all = sum_of_rows(rows, 40, 0);
  std::span part(rows);
  CHECK(sum_of_rows(part.subspan(10 * 40), 40, 10) + sum_of_rows(part.first(400), 40, 0) == all);
  std::swap_ranges(rows.begin(), rows.begin() + 40, rows.begin() + 40);
  CHECK(sum_of_rows(rows, 40, 0) != all);
}

TEST_CASE("sums: a folder of safetensors has none") {
  WeightStore store = WeightStore::open(kModels + "tiny-qwen2-docs");
  CHECK(store.verify({}).num_without_sum == std::ssize(store.weights()));
}
