#include "kernels/tensor.h"

#include <fmt/ranges.h>

#include "kernels/device_api.h"

namespace ll {

Shape::Shape(std::initializer_list<int64_t> dims)
    : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  ensure(dims.size() <= kMaxRank, "tensor of more than four axes");
  for (size_t i = 0; i < dims.size(); ++i) {
    ensure(dims[i] >= 0, "negative tensor extent");
    dims_[i] = dims[i];
  }
}

int64_t Shape::numel() const {
  int64_t n = 1;
  for (int i = 0; i < rank_; ++i) n *= (*this)[i];
  return n;
}

std::string Shape::str() const {
  return fmt::format("[{}]", fmt::join(dims_.begin(), dims_.begin() + rank_, ", "));
}

TensorView TensorView::rows(int64_t begin, int64_t count) const {
  ensure(shape.rank() >= 1 && begin >= 0 && count >= 0 && begin + count <= dim(0),
         "row range outside the tensor");
  std::array<int64_t, Shape::kMaxRank> dims{};
  int64_t row = 1;
  dims[0] = count;
  for (int i = 1; i < shape.rank(); ++i) row *= dims[static_cast<size_t>(i)] = dim(i);
  auto* first = static_cast<std::byte*>(data) + static_cast<size_t>(begin * row) * size_of(dtype);
  return {first, dtype, Shape(std::span(dims.data(), static_cast<size_t>(shape.rank())))};
}

TensorView TensorView::reshaped(Shape other) const {
  ensure(other.numel() == numel(), "reshape changes the number of elements");
  return {data, dtype, other};
}

Tensor::Tensor(const DeviceApi& api, DType dtype, Shape shape) : view_{nullptr, dtype, shape} {
  if (view_.bytes() == 0) return;
  memory_ = std::shared_ptr<void>(api.alloc(view_.bytes()), [&api](void* p) { api.free(p); });
  view_.data = memory_.get();
}

}  // namespace ll
