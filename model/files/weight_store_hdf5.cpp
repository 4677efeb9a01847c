#include <hdf5.h>

#include <cstring>
#include <filesystem>
#include <optional>

#include "base/check.h"
#include "base/hash/sha256.h"
#include "base/printable.h"
#include "model/files/weight_store_format.h"
#include "model/files/weight_store_hid.h"
#include "model/files/weight_store_layout.h"

namespace ll {

namespace {

namespace fs = std::filesystem;

// Beyond these the offsets of tiles are not worth their memory, or, where the chunks have an index
// of another kind than ours, the time to ask for each.
constexpr int64_t kMaxTiles = 1 << 20, kMaxIndexedTiles = 4096;

struct OpenedFile {
  Hid hdf5;
  std::shared_ptr<const InputFile> bytes;
  const std::string& path() const { return bytes->path(); }
};

OpenedFile open_file(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  auto bytes = std::make_shared<const InputFile>(path);
  std::string start(std::min<uint64_t>(bytes->size(), kSignature.size()), '\0');
  bytes->read(0, std::as_writable_bytes(std::span(start)));
  check(
      start == kSignature,
      "{}: is not a weight file; give a file that litelang-convert wrote or a Hugging Face folder",
      path);
  OpenedFile opened = {open_hdf5(path, /*writable=*/false), std::move(bytes)};
  int64_t format = read_attribute(opened.hdf5, kFormatAttribute, 0);
  check(format != 0, "{}: is an HDF5 file, but not one that litelang-convert wrote", path);
  check(format == kWeightFormat,
        "{}: is a weight file of format {}, this litelang reads {}: convert the model again", path,
        format, kWeightFormat);
  return opened;
}

std::string hdf5_name(const Hid& object) {
  char name[4096] = {};
  H5Fget_name(object, name, sizeof name);
  return name;
}

// Opens a dataset whose bytes are in this file. Data in other files, which HDF5 would open by
// whatever path the file says, is refused.
Hid open_dataset(const OpenedFile& file, const std::string& name) {
  Hid dataset(H5Dopen2(file.hdf5, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.ok()) fail_hdf5(file.path(), fmt::format("{} is not a dataset", printable(name)));
  Hid layout(H5Dget_create_plist(dataset), H5Pclose);
  check(layout.ok() && H5Pget_external_count(layout) == 0 && H5Pget_layout(layout) != H5D_VIRTUAL &&
            hdf5_name(dataset) == hdf5_name(file.hdf5),
        "{}: dataset {} keeps its data in another file", file.path(), printable(name));
  return dataset;
}

std::vector<hsize_t> extents_of(const Hid& dataset) {
  Hid space(H5Dget_space(dataset), H5Sclose);
  int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(static_cast<size_t>(std::max(rank, 0)));
  if (rank > 0) H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  return extents;
}

std::string read_text(const OpenedFile& file, const std::string& name) {
  Hid dataset = open_dataset(file, name);
  Hid type(H5Dget_type(dataset), H5Tclose);
  std::vector<hsize_t> extents = extents_of(dataset);
  check(extents.size() == 1 && H5Tequal(type, hdf5_type(DType::u8)) > 0,
        "{}: dataset {} is not a vector of uint8", file.path(), name);
  check(extents[0] <= kMaxTextBytes,
        "{}: dataset {} has {} bytes, more than the {} a text may have", file.path(), name,
        extents[0], kMaxTextBytes);
  std::string text(extents[0], '\0');
  if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0)
    fail_hdf5(file.path(), fmt::format("dataset {} cannot be read", name));
  return text;
}

// The hashes of the source files; a group that is not ok() where a file has none.
Hid open_hashes(const OpenedFile& file) {
  if (H5Lexists(file.hdf5, kHashGroup, H5P_DEFAULT) <= 0) return {};
  return {H5Gopen2(file.hdf5, kHashGroup, H5P_DEFAULT), H5Gclose};
}

ModelTexts read_texts(const OpenedFile& file) {
  ModelTexts texts;
  if (H5Lexists(file.hdf5, kTextGroup, H5P_DEFAULT) > 0) {
    Hid hashes = open_hashes(file);
    for (const ModelText& entry : kModelTexts) {
      std::string name = fmt::format("{}/{}", kTextGroup, entry.file);
      if (H5Lexists(file.hdf5, name.c_str(), H5P_DEFAULT) <= 0) continue;
      std::string text = read_text(file, name),
                  hash = hashes.ok() ? read_text_attribute(hashes, entry.file.data()) : "";
      check(hash.empty() || sha256_hex(text) == hash,
            "{}: damaged: {} is not what was converted; copy or convert it again", file.path(),
            name);
      texts.*entry.text = std::move(text);
    }
  }
  check(!texts.config_json.empty(),
        "{}: has no {}/config.json; of a model in several files, open the index", file.path(),
        kTextGroup);
  return texts;
}

std::optional<DType> float_dtype(const Hid& dataset) {
  Hid type(H5Dget_type(dataset), H5Tclose);
  for (DType dtype : {DType::bf16, DType::f16, DType::f32})
    if (H5Tequal(type, hdf5_type(dtype)) > 0) return dtype;
  return std::nullopt;
}

// Chunks allocated early in a file of ours have no index: they follow one another from the first.
void find_chunks(const Hid& dataset, const Hid& layout, StoredTensor& tensor) {
  hsize_t chunk[2] = {1, 1};
  H5Pget_chunk(layout, 2, chunk);
  tensor.tile_rows = static_cast<int64_t>(chunk[0]);
  tensor.tile_cols = tensor.shape.rank() > 1 ? static_cast<int64_t>(chunk[1]) : 1;
  int64_t num_tiles = tensor.grid_rows() * tensor.grid_cols();
  auto tile_bytes =
      static_cast<uint64_t>(tensor.tile_rows * tensor.tile_cols) * size_of(tensor.dtype);
  H5D_chunk_index_t index = H5D_CHUNK_IDX_BTREE;
  H5Dget_chunk_index_type(dataset, &index);
  bool implicit = index == H5D_CHUNK_IDX_NONE;
  if (num_tiles > (implicit ? kMaxTiles : kMaxIndexedTiles)) return;
  for (int64_t i = 0; i < num_tiles; ++i) {
    if (implicit && i > 0) {
      tensor.tiles.push_back(tensor.tiles.back() + tile_bytes);
      continue;
    }
    hsize_t at[2] = {chunk[0] * static_cast<hsize_t>(i / tensor.grid_cols()),
                     chunk[1] * static_cast<hsize_t>(i % tensor.grid_cols())};
    unsigned filters = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    bool found = H5Dget_chunk_info_by_coord(dataset, at, &filters, &address, &size) >= 0 &&
                 address != HADDR_UNDEF && size == tile_bytes;
    if (!found) return tensor.tiles.clear();
    tensor.tiles.push_back(address);
  }
}

// Leaves `tiles` empty when they cannot be had: the data is then read by HDF5.
void find_tiles(const Hid& dataset, StoredTensor& tensor) {
  Hid layout(H5Dget_create_plist(dataset), H5Pclose);
  if (H5Pget_nfilters(layout) != 0) return;
  if (H5Pget_layout(layout) == H5D_CHUNKED) return find_chunks(dataset, layout, tensor);
  haddr_t offset = H5Dget_offset(dataset);
  if (H5Pget_layout(layout) != H5D_CONTIGUOUS || offset == HADDR_UNDEF) return;
  tensor.tile_rows = tensor.rows();
  tensor.tile_cols = tensor.cols();
  tensor.tiles = {offset};
}

void read_slab(const Hid& dataset, const StoredTensor& tensor, const ShardSpec& part, void* out) {
  Hdf5Session session;
  auto rank = static_cast<size_t>(tensor.shape.rank());
  hsize_t start[2] = {hsize_t(part.rows.begin), hsize_t(part.cols.begin)};
  hsize_t count[2] = {hsize_t(part.rows.size), hsize_t(part.cols.size)};
  Hid memory(H5Screate_simple(static_cast<int>(rank), count, nullptr), H5Sclose);
  Hid slab(H5Dget_space(dataset), H5Sclose);
  H5Sselect_hyperslab(slab, H5S_SELECT_SET, start, nullptr, count, nullptr);
  Hid type = hdf5_type(tensor.dtype);
  if (H5Dread(dataset, type, memory, slab, H5P_DEFAULT, out) < 0)
    fail_hdf5(tensor.file->path(), "the data cannot be read; copy or convert it again");
}

std::shared_ptr<const Hid> shared(Hid dataset) {
  return {new Hid(std::move(dataset)), [](const Hid* hid) {
            Hdf5Session session;
            delete hid;
          }};
}

StoredTensor describe(const OpenedFile& file, const std::string& name) {
  Hid dataset = open_dataset(file, name);
  std::vector<hsize_t> extents = extents_of(dataset);
  bool plain = extents.size() == 1 || extents.size() == 2;
  uint64_t numel = 1;
  for (hsize_t extent : extents)
    plain = plain && extent > 0 && !__builtin_mul_overflow(numel, uint64_t{extent}, &numel) &&
            numel < uint64_t{1} << 56;
  check(plain, "{}: tensor {} is not a matrix or a vector", file.path(), printable(name));
  std::optional<DType> dtype = float_dtype(dataset);
  check(dtype.has_value(), "{}: tensor {} is not of the type bfloat16, float16 or float32",
        file.path(), printable(name));
  std::vector<int64_t> dims(extents.begin(), extents.end());
  StoredTensor tensor = {.dtype = *dtype,
                         .shape = Shape(std::span<const int64_t>(dims)),
                         .file = file.bytes,
                         .tile_rows = 1,
                         .tile_cols = 1,
                         .name = name};
  find_tiles(dataset, tensor);
  if (!tensor.tiles.empty()) {
    tensor.check_tiles(name);
    tensor.sums = read_list_attribute(dataset, kSumsAttribute);
    check(tensor.sums.empty() || tensor.sums.size() == tensor.tiles.size(),
          "{}: tensor {} has {} checksums of {} chunks; convert it again", file.path(),
          printable(name), tensor.sums.size(), tensor.tiles.size());
  } else {
    StoredTensor facts = tensor;
    tensor.read_part = [dataset = shared(std::move(dataset)), facts](const ShardSpec& part,
                                                                     void* out) {
      read_slab(*dataset, facts, part, out);
    };
  }
  return tensor;
}

struct Link {
  std::string name;
  bool external = false;
};

int collect_link(hid_t, const char* name, const H5L_info_t* info, void* out) {
  static_cast<std::vector<Link>*>(out)->push_back({name, info->type == H5L_TYPE_EXTERNAL});
  return 0;
}

// The file beside the index that an external link names.
std::string link_target(const OpenedFile& index, const std::string& name) {
  H5L_info_t info;
  bool ok = H5Lget_info(index.hdf5, name.c_str(), &info, H5P_DEFAULT) >= 0;
  std::vector<char> value(ok ? info.u.val_size : 0);
  unsigned flags = 0;
  const char *file = nullptr, *object = nullptr;
  ok = ok && H5Lget_val(index.hdf5, name.c_str(), value.data(), value.size(), H5P_DEFAULT) >= 0 &&
       H5Lunpack_elink_val(value.data(), value.size(), &flags, &file, &object) >= 0;
  if (!ok) fail_hdf5(index.path(), fmt::format("the link {} cannot be read", printable(name)));
  bool plain = *file != '\0' && !std::strchr(file, '/') && file != std::string_view("..");
  check(plain && name == object + (*object == '/'),
        "{}: tensor {} is linked to {} in {}; it must be in a file beside the index", index.path(),
        printable(name), printable(object), printable(file));
  return file;
}

OpenedFile open_part(const OpenedFile& index, const std::string& file) {
  fs::path path = fs::path(index.path()).parent_path() / file;
  check(fs::exists(path), "{}: is missing, {} needs it", path.string(), index.path());
  OpenedFile part = open_file(path);
  check(read_text_attribute(part.hdf5, kSetAttribute) ==
            read_text_attribute(index.hdf5, kSetAttribute),
        "{}: belongs to another conversion than {}: convert the model again", part.path(),
        index.path());
  return part;
}

std::map<std::string, StoredTensor, std::less<>> read_tensors(const OpenedFile& index) {
  std::vector<Link> links;
  if (H5Literate(index.hdf5, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_link, &links) < 0)
    fail_hdf5(index.path(), "the list of tensors cannot be read; copy or convert it again");
  std::map<std::string, StoredTensor, std::less<>> tensors;
  std::map<std::string, OpenedFile> parts;
  for (const Link& link : links) {
    if (link.name == kTextGroup) continue;
    const OpenedFile* file = &index;
    if (link.external) {
      std::string target = link_target(index, link.name);
      auto part = parts.find(target);
      if (part == parts.end()) part = parts.emplace(target, open_part(index, target)).first;
      file = &part->second;
    }
    tensors.emplace(link.name, describe(*file, link.name));
  }
  return tensors;
}

}  // namespace

StoredModel open_weight_file(const std::string& path) {
  Hdf5Session session;
  OpenedFile index = open_file(path);
  return {path, read_texts(index), read_tensors(index)};
}

ModelTexts read_weight_file_texts(const std::string& path) {
  Hdf5Session session;
  return read_texts(open_file(path));
}

std::map<std::string, StoredTensor, std::less<>> weight_file_tensors(const std::string& path) {
  Hdf5Session session;
  return read_tensors(open_file(path));
}

}  // namespace ll
