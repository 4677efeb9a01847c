#pragma once
// The backend under test and the way of test data to its memory and back.
// LITELANG_TEST_BACKEND=cpu|cuda.
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "tests/support/random.h"

namespace ll::test {

inline const Backend& backend() {
  static const Backend chosen = [] {
    const char* name = std::getenv("LITELANG_TEST_BACKEND");
    bool cuda = name && std::string(name) == "cuda";
    const char* local_rank = std::getenv("OMPI_COMM_WORLD_LOCAL_RANK");
    return open_backend(cuda ? BackendKind::kCuda : BackendKind::kCpu,
                        local_rank ? std::atoi(local_rank) : 0, 0);
  }();
  return chosen;
}

inline Stream stream() {
  static Stream s = backend().device.create_stream();
  return s;
}

inline void finish() { backend().device.synchronize(stream()); }

// Every dtype a model can have on the backend under test.
inline std::vector<DType> model_dtypes() {
  if (backend().kind == BackendKind::kCuda) return {DType::bf16};
  return {DType::f32, DType::bf16};
}

// KV page sizes the backend takes.
inline std::vector<int> page_sizes() {
  if (backend().fixed_page_size > 0) return {backend().fixed_page_size};
  return {1, 16, 64};
}

template <class T>
Tensor upload(const std::vector<T>& values, Shape shape, DType dtype) {
  Tensor t(backend().device, dtype, shape);
  ensure(t.bytes() == values.size() * sizeof(T), "upload: size");
  if (!values.empty()) backend().device.copy(stream(), t.view().data, values.data(), t.bytes());
  finish();
  return t;
}

// Rounds to `dtype` on the way.
inline Tensor upload_floats(const std::vector<float>& values, Shape shape, DType dtype) {
  if (dtype == DType::f32) return upload(values, shape, dtype);
  return upload(rounded(values), shape, dtype);
}

inline Tensor upload_ints(const std::vector<int32_t>& values) {
  return upload(values, {static_cast<int64_t>(values.size())}, DType::i32);
}

// Any plain struct; its bytes.
template <class T>
Tensor upload_structs(const std::vector<T>& values) {
  return upload(values, {static_cast<int64_t>(values.size() * sizeof(T))}, DType::u8);
}

// Memory full of NaNs: what an op leaves unwritten is noticed.
inline Tensor poisoned(Shape shape, DType dtype) {
  Tensor t(backend().device, dtype, shape);
  if (t.bytes() > 0) backend().device.fill(stream(), t.view().data, 0xff, t.bytes());
  finish();
  return t;
}

template <class T>
std::vector<T> download(const void* data, size_t count) {
  finish();
  std::vector<T> out(count);
  if (count > 0) backend().device.copy(stream(), out.data(), data, count * sizeof(T));
  finish();
  return out;
}

inline std::vector<float> download_floats(TensorView v) {
  auto n = static_cast<size_t>(v.numel());
  if (v.dtype == DType::f32) return download<float>(v.data, n);
  return widened(download<bf16>(v.data, n));
}

// What the dtype makes of the values.
inline std::vector<float> as_seen(const std::vector<float>& values, DType dtype) {
  return dtype == DType::f32 ? values : widened(rounded(values));
}

template <class T>
T* data_of(const Tensor& t) {
  return static_cast<T*>(t.view().data);
}

}  // namespace ll::test
