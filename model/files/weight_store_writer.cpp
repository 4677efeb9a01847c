#include "model/files/weight_store_writer.h"

#include <hdf5.h>

#include "base/check.h"
#include "model/files/weight_store_format.h"
#include "model/files/weight_store_hid.h"

namespace ll {

namespace {

// Larger datasets begin where a page does.
constexpr hsize_t kAlignFrom = 64 << 10, kAlignment = 4096;

// Objects without times: the same source gives the same file.
Hid untimed(hid_t kind) {
  Hid properties(H5Pcreate(kind), H5Pclose);
  H5Pset_obj_track_times(properties, false);
  return properties;
}

Hid create_file(const std::string& path) {
  Hid access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
  H5Pset_file_locking(access, /*use_file_locking=*/false, /*ignore_when_disabled=*/true);
  H5Pset_alignment(access, kAlignFrom, kAlignment);
  Hid creation = untimed(H5P_FILE_CREATE);
  Hid file(H5Fcreate(path.c_str(), H5F_ACC_EXCL, creation, access), H5Fclose);
  if (!file.ok()) fail_hdf5(path, "cannot be created");
  return file;
}

Hid create_group(const Hid& file, const std::string& path, const char* name) {
  Hid creation = untimed(H5P_GROUP_CREATE);
  Hid group(H5Gcreate2(file, name, H5P_DEFAULT, creation, H5P_DEFAULT), H5Gclose);
  if (!group.ok()) fail_hdf5(path, fmt::format("the group {} cannot be created", name));
  return group;
}

void create_tensor(const Hid& file, const std::string& path, const PlannedTensor& tensor) {
  int rank = tensor.info.shape.rank();
  hsize_t extents[2] = {hsize_t(tensor.info.shape[0]), hsize_t(tensor.info.shape[1])};
  hsize_t chunk[2] = {hsize_t(tensor.tile.rows), hsize_t(tensor.tile.cols)};
  Hid space(H5Screate_simple(rank, extents, nullptr), H5Sclose);
  Hid type = hdf5_type(tensor.dtype);
  Hid layout = untimed(H5P_DATASET_CREATE);
  H5Pset_chunk(layout, rank, chunk);
  H5Pset_alloc_time(layout, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER);
  Hid dataset(
      H5Dcreate2(file, tensor.info.name.c_str(), type, space, H5P_DEFAULT, layout, H5P_DEFAULT),
      H5Dclose);
  if (!dataset.ok()) fail_hdf5(path, fmt::format("tensor {} cannot be created", tensor.info.name));
}

void create_text(const Hid& group, const std::string& path, const ModelText& entry,
                 const std::string& text) {
  if (text.empty()) return;
  hsize_t size = text.size();
  Hid space(H5Screate_simple(1, &size, nullptr), H5Sclose);
  Hid type = hdf5_type(DType::u8);
  Hid layout = untimed(H5P_DATASET_CREATE);
  std::string name(entry.file);
  Hid dataset(H5Dcreate2(group, name.c_str(), type, space, H5P_DEFAULT, layout, H5P_DEFAULT),
              H5Dclose);
  if (!dataset.ok() || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0)
    fail_hdf5(path, fmt::format("{} cannot be written", entry.file));
}

}  // namespace

uint64_t PlannedTensor::bytes() const {
  return static_cast<uint64_t>(info.shape.numel()) * size_of(dtype);
}

void create_weight_file(const WeightFilePlan& plan) {
  Hdf5Session session;
  Hid file = create_file(plan.path);
  write_attribute(file, kFormatAttribute, int64_t{kWeightFormat});
  write_attribute(file, kVersionAttribute, std::string_view(LITELANG_VERSION));
  write_attribute(file, "litelang_max_parts_x", kMaxPartsX);
  write_attribute(file, "litelang_max_parts_y", kMaxPartsY);
  write_attribute(file, "litelang_max_parts_vocab", kMaxPartsVocab);
  if (plan.texts) {
    Hid group = create_group(file, plan.path, kTextGroup);
    for (const ModelText& entry : kModelTexts)
      create_text(group, plan.path, entry, *plan.texts.*entry.text);
  }
  for (const PlannedTensor& tensor : plan.tensors) create_tensor(file, plan.path, tensor);
  for (const auto& [tensor, target] : plan.links)
    if (H5Lcreate_external(target.c_str(), ("/" + tensor).c_str(), file, tensor.c_str(),
                           H5P_DEFAULT, H5P_DEFAULT) < 0)
      fail_hdf5(plan.path, fmt::format("the link to {} cannot be written", tensor));
  if (!file.close()) fail_hdf5(plan.path, "cannot be written");
}

void seal_weight_file(const std::string& path, const WeightFileSeal& seal) {
  Hdf5Session session;
  Hid file = open_hdf5(path, /*writable=*/true);
  if (H5Lexists(file, kTextGroup, H5P_DEFAULT) > 0) {
    Hid group = create_group(file, path, kHashGroup);
    for (const auto& [source, hash] : seal.hashes)
      write_attribute(group, source, std::string_view(hash));
  }
  for (const auto& [tensor, sums] : seal.sums) {
    Hid dataset(H5Dopen2(file, tensor.c_str(), H5P_DEFAULT), H5Dclose);
    if (!dataset.ok()) fail_hdf5(path, fmt::format("tensor {} cannot be opened", tensor));
    write_attribute(dataset, kSumsAttribute, sums);
  }
  write_attribute(file, kSetAttribute, std::string_view(seal.set));
  if (!file.close()) fail_hdf5(path, "cannot be written");
}

}  // namespace ll
