#include "runtime/batch/model_fingerprint.h"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "base/hash/sha256.h"

namespace ll {
namespace {

// With its length, so that no two lists of texts give the same bytes.
void add_text(Sha256& hash, std::string_view text) {
  std::string length = fmt::format("{}:", text.size());
  hash.update(std::as_bytes(std::span(length)));
  hash.update(std::as_bytes(std::span(text)));
}

void add_rows(Sha256& hash, const WeightStore& store, const WeightInfo& weight) {
  DType dtype = store.dtype(weight.name);
  ShardSpec all = whole(weight.shape);
  add_text(hash,
           fmt::format("{} {} {} {}", weight.name, name_of(dtype), all.rows.size, all.cols.size));
  std::vector<std::byte> row(static_cast<size_t>(all.cols.size) * size_of(dtype));
  for (int64_t at : std::set{int64_t{0}, all.rows.size / 2, all.rows.size - 1}) {
    store.read(weight.name, {.rows = {at, 1}, .cols = all.cols}, dtype, row.data());
    hash.update(row);
  }
}

}  // namespace

std::string model_fingerprint(const ModelFiles& files, const ModelOptions& options) {
  Sha256 hash;
  for (const ModelText& text : kModelTexts) add_text(hash, files.texts.*text.text);
  if (files.store)
    for (const WeightInfo& weight : files.store->weights()) add_rows(hash, *files.store, weight);
  else
    add_text(hash, fmt::format("dummy {}", options.seed));
  return hash.hex();
}

}  // namespace ll
