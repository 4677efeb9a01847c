#include <doctest/doctest.h>

#include "kernels/cuda/device/cuda_device.h"
#include "tests/support/device.h"

using namespace ll;

TEST_CASE("streams: an op that needs scratch memory refuses a side stream") {
  if (test::backend().kind != BackendKind::kCuda) return;
  CHECK(cuda::serves(cuda::KernelFamily::kAny));
  Stream side = test::backend().device.create_side_stream();
  Tensor logits = test::poisoned({1, 64}, DType::f32), max = test::poisoned({1}, DType::f32);
  CHECK_THROWS_AS(
      test::backend().ops.sampling.row_max(side, logits, static_cast<float*>(max.view().data)),
      Error);
  test::backend().device.destroy_stream(side);
}
