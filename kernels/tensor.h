#pragma once
// Tensors are contiguous, row-major, of up to four axes. TensorView borrows and is passed by value;
// Tensor owns memory of one device and moves.
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "base/check.h"
#include "kernels/dtype.h"

namespace ll {

struct DeviceApi;

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i)]; }
  int64_t numel() const;
  std::string str() const;  // "[2, 3]"
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, kMaxRank> dims_ = {};
  int rank_ = 0;
};

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  bool empty() const { return data == nullptr || numel() == 0; }
  int64_t dim(int i) const { return shape[i]; }
  int64_t numel() const { return shape.numel(); }
  size_t bytes() const { return static_cast<size_t>(numel()) * size_of(dtype); }

  template <class T>
  T* as() const {
    ensure(dtype == dtype_of<T>(), "tensor read as another dtype");
    return static_cast<T*>(data);
  }
  // Rows [begin, begin + count) of axis 0.
  TensorView rows(int64_t begin, int64_t count) const;
  // The same elements under another shape.
  TensorView reshaped(Shape other) const;
};

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised memory of `api`'s device; throws Error when it does not fit.
  Tensor(const DeviceApi& api, DType dtype, Shape shape);

  TensorView view() const { return view_; }
  operator TensorView() const { return view_; }  // NOLINT: a Tensor is usable wherever a view is
  explicit operator bool() const { return view_.data != nullptr; }
  size_t bytes() const { return view_.bytes(); }

 private:
  std::shared_ptr<void> memory_;  // released with the device's own free
  TensorView view_;
};

}  // namespace ll
