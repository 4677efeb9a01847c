#include "model/files/weight_store_hid.h"

#include <hdf5.h>

#include <type_traits>

#include "base/check.h"
#include "base/printable.h"

namespace ll {

static_assert(std::is_same_v<hid_t, int64_t> && std::is_same_v<herr_t, int>);

namespace {

constexpr size_t kMaxAttributeText = 64 << 10;
constexpr hssize_t kMaxAttributeNumbers = 1 << 20;

std::recursive_mutex& hdf5_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

// Called with the innermost error first; nonzero ends the walk. Of a failed system call, whose
// description runs to lines of file names and addresses, the system's own words are enough.
int keep_first(unsigned, const H5E_error2_t* error, void* out) {
  constexpr std::string_view kSystem = "error message = '";
  std::string_view reason = error->desc ? error->desc : "";
  if (size_t at = reason.find(kSystem); at != reason.npos) {
    reason.remove_prefix(at + kSystem.size());
    reason = reason.substr(0, reason.find('\''));
  }
  *static_cast<std::string*>(out) = reason;
  return 1;
}

Hid two_byte_float(size_t exponent_bits, size_t mantissa_bits) {
  Hid type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  size_t exponent_at = mantissa_bits, sign_at = mantissa_bits + exponent_bits;
  bool ok =
      H5Tset_fields(type, sign_at, exponent_at, exponent_bits, /*mpos=*/0, mantissa_bits) >= 0 &&
      H5Tset_precision(type, 16) >= 0 && H5Tset_size(type, 2) >= 0 &&
      H5Tset_ebias(type, (size_t{1} << (exponent_bits - 1)) - 1) >= 0;
  ensure(ok, "HDF5 refuses a two-byte float type");
  return type;
}

void write_attribute(const Hid& object, const std::string& name, const Hid& type, const Hid& space,
                     const void* value) {
  Hid attribute(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!attribute.ok() || H5Awrite(attribute, type, value) < 0)
    fail_hdf5("attribute " + name, "cannot be written");
}

Hid scalar() { return {H5Screate(H5S_SCALAR), H5Sclose}; }

// A scalar attribute, or one that is not ok().
Hid open_scalar(const Hid& object, const char* name) {
  if (H5Aexists(object, name) <= 0) return {};
  Hid attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  Hid space(H5Aget_space(attribute), H5Sclose);
  return H5Sget_simple_extent_npoints(space) == 1 ? std::move(attribute) : Hid();
}

}  // namespace

Hdf5Session::Hdf5Session() : lock_(hdf5_mutex()) {
  // The library's clean-up at exit crashes on a file whose close has failed, as it does on a full
  // disk.
  [[maybe_unused]] static const int once = H5dont_atexit();
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Session::~Hdf5Session() {
  H5Eclear2(H5E_DEFAULT);
  H5Eset_auto2(H5E_DEFAULT, print_, print_data_);
}

void fail_hdf5(std::string_view path, const std::string& what) {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &reason);
  fail("{}: {}{}", path, what, reason.empty() ? "" : " (HDF5: " + printable(reason) + ")");
}

Hid open_hdf5(const std::string& path, bool writable) {
  Hid access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_LATEST);
  H5Pset_file_locking(access, /*use_file_locking=*/false, /*ignore_when_disabled=*/true);
  Hid file(H5Fopen(path.c_str(), writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access), H5Fclose);
  if (!file.ok())
    fail_hdf5(path, "is not a readable HDF5 file; is it truncated? Copy or convert it again");
  return file;
}

Hid hdf5_type(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return two_byte_float(8, 7);
    case DType::f16:
      return two_byte_float(5, 10);
    case DType::f32:
      return {H5Tcopy(H5T_IEEE_F32LE), H5Tclose};
    case DType::u8:
      return {H5Tcopy(H5T_STD_U8LE), H5Tclose};
    default:
      ensure(false, "no such type in a weight file");
      return {};
  }
}

void write_attribute(const Hid& object, const std::string& name, int64_t value) {
  write_attribute(object, name, Hid(H5Tcopy(H5T_STD_I64LE), H5Tclose), scalar(), &value);
}

void write_attribute(const Hid& object, const std::string& name, std::string_view text) {
  Hid type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, text.size());
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  write_attribute(object, name, type, scalar(), text.data());
}

void write_attribute(const Hid& object, const std::string& name,
                     const std::vector<uint64_t>& values) {
  hsize_t size = values.size();
  write_attribute(object, name, Hid(H5Tcopy(H5T_STD_U64LE), H5Tclose),
                  Hid(H5Screate_simple(1, &size, nullptr), H5Sclose), values.data());
}

int64_t read_attribute(const Hid& object, const char* name, int64_t missing) {
  Hid attribute = open_scalar(object, name);
  if (!attribute.ok()) return missing;
  Hid type(H5Aget_type(attribute), H5Tclose);
  int64_t value = 0;
  bool ok = H5Tget_class(type) == H5T_INTEGER && H5Aread(attribute, H5T_NATIVE_INT64, &value) >= 0;
  return ok ? value : missing;
}

std::string read_text_attribute(const Hid& object, const char* name) {
  Hid attribute = open_scalar(object, name);
  if (!attribute.ok()) return "";
  Hid type(H5Aget_type(attribute), H5Tclose);
  bool fixed = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0;
  size_t size = fixed ? H5Tget_size(type) : 0;
  if (size == 0 || size > kMaxAttributeText) return "";
  std::string text(size, '\0');
  return H5Aread(attribute, type, text.data()) >= 0 ? text : "";
}

std::vector<uint64_t> read_list_attribute(const Hid& object, const char* name) {
  if (H5Aexists(object, name) <= 0) return {};
  Hid attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  Hid space(H5Aget_space(attribute), H5Sclose), type(H5Aget_type(attribute), H5Tclose);
  hssize_t size = H5Sget_simple_extent_npoints(space);
  bool is_list = H5Sget_simple_extent_ndims(space) == 1 && H5Tget_class(type) == H5T_INTEGER &&
                 size > 0 && size <= kMaxAttributeNumbers;
  if (!is_list) return {};
  std::vector<uint64_t> values(static_cast<size_t>(size));
  bool is_read = H5Aread(attribute, H5T_NATIVE_UINT64, values.data()) >= 0;
  return is_read ? values : std::vector<uint64_t>();
}

}  // namespace ll
