#pragma once
// The HDF5 library behind RAII, for the files weight_store_*.cpp that alone include its headers:
// its hid_t is int64_t here, its herr_t int.
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/dtype.h"

namespace ll {

// One identifier, closed with its own function.
class Hid {
 public:
  using Close = int (*)(int64_t id);

  Hid() = default;
  Hid(int64_t id, Close close) : id_(id), close_(close) {}
  Hid(Hid&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hid& operator=(Hid&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hid() { close(); }

  operator int64_t() const { return id_; }  // NOLINT: what the library's functions take
  bool ok() const { return id_ >= 0; }
  bool close() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

// While one lives, this thread has the library to itself, which often is built without thread
// safety, and the library prints nothing of its own.
class Hdf5Session {
 public:
  Hdf5Session();
  ~Hdf5Session();
  Hdf5Session(const Hdf5Session&) = delete;
  Hdf5Session& operator=(const Hdf5Session&) = delete;

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  int (*print_)(int64_t, void*) = nullptr;
  void* print_data_ = nullptr;
};

// Throws "PATH: what (the library's own innermost reason)", of the call just before: even closing
// an identifier forgets the reason.
[[noreturn]] void fail_hdf5(std::string_view path, const std::string& what);

Hid open_hdf5(const std::string& path, bool writable);  // no file lock: shared file systems lack it
Hid hdf5_type(DType dtype);                             // bf16, f16, f32 or u8, little-endian

// Attributes of a group or file; a reader gives `missing` or "" where there is none of that kind.
void write_attribute(const Hid& object, const std::string& name, int64_t value);
void write_attribute(const Hid& object, const std::string& name, std::string_view text);
void write_attribute(const Hid& object, const std::string& name,
                     const std::vector<uint64_t>& values);
int64_t read_attribute(const Hid& object, const char* name, int64_t missing);
std::string read_text_attribute(const Hid& object, const char* name);
std::vector<uint64_t> read_list_attribute(const Hid& object, const char* name);

}  // namespace ll
