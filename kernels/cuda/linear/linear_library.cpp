#include "kernels/cuda/linear/linear_library.h"

#include <algorithm>

#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/workspace.h"
#include "kernels/cuda/rows/silu.h"

namespace ll::cuda {
namespace {

void check_library(cublasStatus_t status,
                   std::source_location where = std::source_location::current()) {
  if (status != CUBLAS_STATUS_SUCCESS) [[unlikely]]
    throw_cuda(cublasLtGetStatusString(status), where);
}

cublasLtHandle_t library() {
  static const cublasLtHandle_t handle = [] {
    cublasLtHandle_t created;
    check_library(cublasLtCreate(&created));
    return created;
  }();
  return handle;
}

cudaDataType_t type_of(DType dtype) { return dtype == DType::f32 ? CUDA_R_32F : CUDA_R_16BF; }

// What the addresses of a matrix's rows are multiples of, 16 bytes at most.
uint32_t alignment_of(int64_t cols, DType dtype) {
  auto row_bytes = static_cast<uint32_t>(cols) * static_cast<uint32_t>(size_of(dtype));
  return std::min(row_bytes & -row_bytes, 16u);
}

bool is_aligned(const TensorView& v) {
  return ll::is_aligned(v.data, alignment_of(v.dim(1), v.dtype));
}

// What the product is written to: out, or the pairs that SiLU-and-mul takes, in `pairs`.
TensorView product_of(const LinearArgs& a, void* pairs) {
  if (!a.ending.is_silu()) return a.out;
  return {pairs, DType::bf16, {a.x.dim(0), a.weight.rows}};
}

// The library's descriptors of one product. It counts column by column, so that to it W [N, K] is
// [K, N], x is [K, M], and out, [N, M], is W transposed times x. They own nothing.
class Product {
 public:
  explicit Product(const LinearArgs& a, void* pairs = nullptr)
      : weight_(a.weight.data.data),
        x_(a.x.data),
        cols_(a.weight.cols),
        out_(product_of(a, pairs)) {
    check_library(cublasLtMatmulDescInit(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    if (!a.bias.empty()) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(a.bias.data));
    }
    auto rows = static_cast<uint64_t>(a.weight.rows), cols = static_cast<uint64_t>(a.weight.cols),
         num_x = static_cast<uint64_t>(a.x.dim(0));
    check_library(
        cublasLtMatrixLayoutInit(&weight_layout_, CUDA_R_16BF, cols, rows, a.weight.cols));
    check_library(cublasLtMatrixLayoutInit(&x_layout_, CUDA_R_16BF, cols, num_x, a.weight.cols));
    check_library(
        cublasLtMatrixLayoutInit(&out_layout_, type_of(out_.dtype), rows, num_x, a.weight.rows));
  }

  std::vector<LibraryAlgorithm> algorithms(int most) {
    cublasLtMatmulPreferenceOpaque_t preference;
    check_library(cublasLtMatmulPreferenceInit(&preference));
    auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
      check_library(cublasLtMatmulPreferenceSetAttribute(&preference, what, &value, sizeof(value)));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
           static_cast<uint64_t>(Workspace::kMatmulBytes));
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<uint32_t>(
               CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));  // sums in float32, in a fixed order
    // The alignment that the shapes have, not that of these addresses: an algorithm found here
    // serves other rows, too.
    uint32_t in = alignment_of(cols_, DType::bf16), out = alignment_of(out_.dim(1), out_.dtype);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, in);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, in);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out);
    std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<size_t>(most));
    int count = 0;
    cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(library(), &operation_, &weight_layout_,
                                                           &x_layout_, &out_layout_, &out_layout_,
                                                           &preference, most, found.data(), &count);
    if (status != CUBLAS_STATUS_SUCCESS) return {};
    std::vector<LibraryAlgorithm> algorithms;
    for (int i = 0; i < count; ++i)
      if (found[static_cast<size_t>(i)].state == CUBLAS_STATUS_SUCCESS)
        algorithms.push_back(found[static_cast<size_t>(i)].algo);
    return algorithms;
  }

  bool accepts(const LibraryAlgorithm& algorithm) {
    cublasLtMatmulHeuristicResult_t result;
    return cublasLtMatmulAlgoCheck(library(), &operation_, &weight_layout_, &x_layout_,
                                   &out_layout_, &out_layout_, &algorithm,
                                   &result) == CUBLAS_STATUS_SUCCESS &&
           result.workspaceSize <= Workspace::kMatmulBytes;
  }

  bool run(Stream stream, const LibraryAlgorithm& algorithm) {
    float one = 1, zero = 0;
    Scratch workspace = workspace_of(stream).matmul;
    return cublasLtMatmul(library(), &operation_, &one, /*A=*/weight_, &weight_layout_, /*B=*/x_,
                          &x_layout_, &zero,
                          /*C=*/out_.data, &out_layout_, /*D=*/out_.data, &out_layout_, &algorithm,
                          workspace.data, workspace.bytes,
                          cuda_stream(stream)) == CUBLAS_STATUS_SUCCESS;
  }

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t what, T value) {
    check_library(cublasLtMatmulDescSetAttribute(&operation_, what, &value, sizeof(value)));
  }

  const void *weight_, *x_;
  int64_t cols_;
  TensorView out_;
  cublasLtMatmulDescOpaque_t operation_;
  cublasLtMatrixLayoutOpaque_t weight_layout_, x_layout_, out_layout_;
};

}  // namespace

bool library_takes(const LinearArgs& a) {
  if (!a.bias.empty() && a.out.dtype == DType::f32) return false;
  if (!is_aligned(a.x) || !is_aligned(a.weight.data) || !is_aligned(a.out)) return false;
  if (!a.ending.is_silu()) return true;
  return a.out.dtype == DType::bf16 && product_of(a, nullptr).bytes() <= Workspace::kScratchBytes;
}

std::vector<LibraryAlgorithm> library_algorithms(const LinearArgs& a, int most) {
  return Product(a).algorithms(most);
}

bool library_accepts(const LinearArgs& a, const LibraryAlgorithm& algorithm) {
  return Product(a).accepts(algorithm);
}

bool run_library(Stream stream, const LinearArgs& a, const LibraryAlgorithm& algorithm) {
  void* pairs = workspace_of(stream).scratch.data;
  if (!Product(a, pairs).run(stream, algorithm)) return false;
  if (a.ending.is_silu()) silu_and_mul(stream, a.out, product_of(a, pairs));
  return true;
}

}  // namespace ll::cuda
