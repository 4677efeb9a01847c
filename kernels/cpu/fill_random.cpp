#include "base/random.h"
#include "kernels/cpu/cpu_ops.h"

namespace ll::cpu {

void fill_random(Stream, TensorView out, uint64_t seed, float scale, int64_t row0, int64_t col0,
                 int64_t full_cols) {
  int64_t cols = out.shape.rank() > 1 ? out.dim(1) : 1;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < out.dim(0); ++r)
    for (int64_t c = 0; c < cols; ++c) {
      auto index = static_cast<uint64_t>((row0 + r) * full_cols + col0 + c);
      float value = scale * weight_noise(seed, index);
      if (out.dtype == DType::f32)
        out.as<float>()[r * cols + c] = value;
      else
        out.as<bf16>()[r * cols + c] = to_bf16(value);
    }
}

}  // namespace ll::cpu
