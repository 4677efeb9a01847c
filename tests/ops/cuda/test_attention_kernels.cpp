// The kernels of attention that this GPU can run, also as they are chosen for GPUs with less shared
// memory, against the plain kernel; `attention` itself would only use one family's.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/attention/sm80/attention_sm80.h"
#include "tests/support/attention_batch.h"
#include "tests/support/compare.h"

using namespace ll;
using namespace ll::test;

namespace {

constexpr int kPage = cuda::kPagePositions;
constexpr uint8_t kUnwritten = 0x3a;  // a byte: 7e-4 as bfloat16 and as float32

struct Rig {
  int32_t heads, kv_heads;
  int64_t dim;
  PositionSplit split;
  AttentionBatch batch;
  DeviceBatch device{batch, kPage};
  Tensor keys, values, qkv, out, log_sums;

  Rig(const std::vector<Piece>& pieces, int32_t group, int32_t num_kv_heads, int64_t head_dim,
      const PositionSplit& positions)
      : heads(group * num_kv_heads),
        kv_heads(num_kv_heads),
        dim(head_dim),
        split(positions),
        batch(pieces, kPage, positions),
        keys(pool(1, 2.0f)),
        values(pool(2, 1.0f)),
        qkv(random({batch.num_rows(), (heads + 2 * kv_heads) * dim}, 3, 3.0f)),
        out(backend().device, DType::bf16, {batch.num_rows(), heads * dim}),
        log_sums(backend().device, DType::f32, {batch.num_rows(), heads}) {}
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  static Tensor random(Shape shape, uint64_t seed, float scale) {
    Tensor t(backend().device, DType::bf16, shape);
    int64_t cols = shape[shape.rank() - 1];
    backend().ops.fill_random(stream(), t.view().reshaped({t.view().numel() / cols, cols}), seed,
                              scale, 0, 0, cols);
    return t;
  }

  // What a sequence's last page holds behind its end is NaN: it must not leak in.
  Tensor pool(uint64_t seed, float scale) const {
    Tensor t = random({batch.num_pages, kv_heads, kPage, dim}, seed, scale);
    for (int64_t slot = 0; slot < static_cast<int64_t>(batch.table.size()) / batch.stride; ++slot) {
      int32_t length = split.count(last_position(slot) + 1), rows = length % kPage;
      if (rows == 0) continue;
      int64_t page = batch.table[static_cast<size_t>(slot * batch.stride + length / kPage)];
      for (int32_t head = 0; head < kv_heads; ++head) {
        int64_t first = (page * kv_heads + head) * kPage + rows;
        backend().device.fill(stream(), data_of<bf16>(t) + first * dim, 0xff,
                              static_cast<size_t>((kPage - rows) * dim) * sizeof(bf16));
      }
    }
    return t;
  }
  int32_t last_position(int64_t slot) const {
    int32_t last = -1;
    for (size_t row = 0; row < batch.slots.size(); ++row)
      if (batch.slots[row] == slot) last = std::max(last, batch.positions[row]);
    return last;
  }

  struct Result {
    std::vector<float> out, log_sums;
  };
  // Several calls a step, as layers make them: counters must be left zero.
  Result run(const cuda::AttentionKernels& kernels) const {
    for (const Tensor* t : {&out, &log_sums})
      backend().device.fill(stream(), t->view().data, kUnwritten, t->bytes());
    AttentionArgs args{out,   qkv,      {keys, values, split},   device.view(),
                       heads, kv_heads, data_of<float>(log_sums)};
    if (kernels.begin_step)
      kernels.begin_step(stream(), device.view(),
                         {heads, kv_heads, static_cast<int32_t>(dim), split});
    for (int layer = 0; layer < 3; ++layer) {
      if (batch.num_decode > 0) kernels.decode(stream(), args);
      if (!batch.chunks.empty()) kernels.prefill(stream(), args);
    }
    return {download_floats(out), download_floats(log_sums)};
  }
};

void check_same(const Rig::Result& got, const Rig::Result& want) {
  CHECK(relative_error(std::span<const float>(got.out), std::span<const float>(want.out)) <
        tolerance(DType::bf16).op);
  REQUIRE(got.log_sums.size() == want.log_sums.size());
  float worst = 0;
  for (size_t i = 0; i < want.log_sums.size(); ++i) {
    if (got.log_sums[i] == want.log_sums[i]) continue;  // no position: -infinity
    float error = std::fabs(got.log_sums[i] - want.log_sums[i]);
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  CHECK(worst < 2e-3f);
}

// Shared memory of an SM of this GPU, of 8.0's, and of 8.6's, 8.9's and 12.x's.
constexpr size_t kMemories[] = {0, 164 << 10, 100 << 10};

void check_all(const Rig& rig) {
  AttentionShape shape{rig.heads, rig.kv_heads, static_cast<int32_t>(rig.dim), rig.split};
  Rig::Result want = rig.run(cuda::plain_attention());
  {
    INFO("those of the family that serves this GPU");
    check_same(rig.run(cuda::attention_kernels(shape)), want);
  }
  const cuda::AttentionKernels& portable = cuda::sm80_attention();
  REQUIRE(portable.takes(shape));
  for (size_t memory : kMemories) {
    CAPTURE(memory);
    if (memory == 0)
      portable.prepare();
    else
      cuda::sm80::prepare({memory});
    check_same(rig.run(portable), want);
  }
  portable.prepare();
}

void check_pieces(const std::vector<std::vector<Piece>>& steps) {
  if (backend().kind != BackendKind::kCuda) return;
  constexpr PositionSplit kSplits[] = {{1, 0, kPage}, {2, 1, kPage}, {3, 0, kPage}};
  int32_t turn = 0;
  for (const auto& pieces : steps)
    for (int32_t group = 1; group <= 8; ++group)
      for (int64_t dim : {64, 128}) {
        const PositionSplit& split = kSplits[turn++ % 3];
        CAPTURE(pieces.size());
        CAPTURE(group);
        CAPTURE(dim);
        CAPTURE(split.parts);
        check_all(Rig(pieces, group, group <= 4 ? 3 : 2, dim, split));
      }
}

}  // namespace

TEST_CASE("attention kernels: decode rows of odd lengths, some unused") {
  check_pieces({decode_rows({1, 2, 63, 64, 65, 777, 0, 15, 16, 17, 300, 1, 128, 129, 0}),
                decode_rows({0, 5, 64}), decode_rows({640})});
}

TEST_CASE("attention kernels: long sequences and many") {
  check_pieces({decode_rows({20001}), decode_rows({4, 4, 4, 9001, 4, 0, 4, 2000}),
                decode_rows(std::vector<int32_t>(300, 99))});
}

TEST_CASE("attention kernels: prompts and chunks behind prefixes") {
  check_pieces({{{0, 1}, {0, 63}, {0, 64}, {0, 65}, {0, 777}, {0, 31}},
                {{1, 1}, {63, 2}, {64, 64}, {100, 33}, {777, 130}, {200, 7}}});
}

TEST_CASE("attention kernels: decode rows and many chunks in one step") {
  std::vector<Piece> pieces = decode_rows({6, 129, 0, 64});
  for (int32_t i = 0; i < 40; ++i) pieces.push_back({i * 211 % 1500, i * 37 % 90 + 1});
  check_pieces({pieces});
}
