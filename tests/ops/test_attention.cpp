#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/support/attention_batch.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Run {
  AttentionResult got, want;
};

AttentionResult reference(const AttentionBatch& b, const Heads& h, int page_size,
                          const std::vector<float>& qkv, const std::vector<float>& keys,
                          const std::vector<float>& values) {
  int64_t width = (h.heads + 2 * h.kv_heads) * h.dim;
  AttentionResult result;
  for (size_t row = 0; row < b.positions.size(); ++row)
    for (int32_t head = 0; head < h.heads; ++head) {
      int32_t kv_head = head / (h.heads / h.kv_heads);
      auto at = [&](int32_t j) {
        int64_t page = b.table[static_cast<size_t>(b.slots[row] * b.stride + j / page_size)];
        return static_cast<size_t>(((page * h.kv_heads + kv_head) * page_size + j % page_size) *
                                   h.dim);
      };
      std::vector<double> score;
      double highest = -1e300, sum = 0;
      for (int32_t j = 0; j <= b.positions[row]; ++j) {
        double s = 0;
        for (int64_t d = 0; d < h.dim; ++d)
          s += static_cast<double>(
                   qkv[row * static_cast<size_t>(width) + static_cast<size_t>(head * h.dim + d)]) *
               keys[at(j) + static_cast<size_t>(d)];
        score.push_back(s / std::sqrt(static_cast<double>(h.dim)));
        highest = std::max(highest, score.back());
      }
      std::vector<double> o(static_cast<size_t>(h.dim));
      for (int32_t j = 0; j <= b.positions[row]; ++j) {
        double p = std::exp(score[static_cast<size_t>(j)] - highest);
        sum += p;
        for (int64_t d = 0; d < h.dim; ++d)
          o[static_cast<size_t>(d)] += p * values[at(j) + static_cast<size_t>(d)];
      }
      for (double x : o) result.out.push_back(static_cast<float>(x / sum));
      result.log_sums.push_back(static_cast<float>(highest + std::log(sum)));
    }
  return result;
}

Run run(const std::vector<Piece>& pieces, const Heads& h, int page_size, DType dtype) {
  AttentionBatch b(pieces, page_size);
  int64_t tokens = b.num_rows();
  int64_t width = (h.heads + 2 * h.kv_heads) * h.dim,
          pool = b.num_pages * h.kv_heads * page_size * h.dim;
  auto qkv = random_floats(tokens * width, 1, 3), keys = random_floats(pool, 2, 2),
       values = random_floats(pool, 3);
  // What no sequence holds is NaN: it must not leak in.
  auto spoil = [&](std::vector<float> x) {
    for (size_t i = 0; i < pieces.size(); ++i)
      for (int64_t j = pieces[i].cached + pieces[i].rows; j < b.stride * page_size; ++j)
        for (int32_t kv = 0; kv < h.kv_heads; ++kv) {
          int64_t page =
              b.table[i * static_cast<size_t>(b.stride) + static_cast<size_t>(j / page_size)];
          float* row = x.data() + ((page * h.kv_heads + kv) * page_size + j % page_size) * h.dim;
          std::fill(row, row + h.dim, NAN);
        }
    return x;
  };
  Shape shape{b.num_pages, h.kv_heads, page_size, h.dim};
  Tensor q = upload_floats(qkv, {tokens, width}, dtype),
         k = upload_floats(spoil(keys), shape, dtype),
         v = upload_floats(spoil(values), shape, dtype);
  DeviceBatch batch(b, page_size);
  Tensor out = poisoned({tokens, h.heads * h.dim}, dtype),
         log_sums = poisoned({tokens, h.heads}, DType::f32);
  backend().ops.begin_step(stream(), batch.view(),
                           {h.heads, h.kv_heads, static_cast<int32_t>(h.dim)});
  backend().ops.attention(
      stream(), {out, q, {k, v}, batch.view(), h.heads, h.kv_heads, data_of<float>(log_sums)});
  return {{download_floats(out), download_floats(log_sums)},
          reference(b, h, page_size, as_seen(qkv, dtype), as_seen(keys, dtype),
                    as_seen(values, dtype))};
}

void check_run(const Run& r, DType dtype) {
  using Span = std::span<const float>;
  CHECK(relative_error(Span(r.got.out), Span(r.want.out)) < tolerance(dtype).op);
  REQUIRE(r.got.log_sums.size() == r.want.log_sums.size());
  double worst = 0;
  for (size_t i = 0; i < r.want.log_sums.size(); ++i) {
    double error = std::fabs(static_cast<double>(r.got.log_sums[i]) - r.want.log_sums[i]);
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  CHECK(worst < 1e-3);
}

const std::vector<Heads> kAllHeads{
    {4, 4, 64}, {4, 1, 64}, {6, 1, 128}, {14, 2, 64}, {12, 2, 128}, {16, 2, 128}, {28, 4, 128},
    {7, 1, 64}, {5, 1, 64}, {9, 1, 64},  {3, 1, 80},  {4, 2, 66},   {2, 1, 2}};

void check_pieces(const std::vector<Piece>& pieces) {
  for (DType dtype : model_dtypes())
    for (int page_size : page_sizes())
      for (const Heads& h : kAllHeads) {
        CAPTURE(name_of(dtype));
        CAPTURE(page_size);
        CAPTURE(h.heads);
        CAPTURE(h.kv_heads);
        CAPTURE(h.dim);
        check_run(run(pieces, h, page_size, dtype), dtype);
      }
}

}  // namespace

TEST_CASE("attention of prompts") { check_pieces({{0, 1}, {0, 31}, {0, 64}, {0, 65}, {0, 130}}); }

TEST_CASE("attention of chunks behind cached prefixes") {
  check_pieces({{1, 1}, {63, 2}, {64, 64}, {100, 33}, {200, 7}});
}

TEST_CASE("attention of decode rows") {
  check_pieces(
      {{0, 1, true}, {1, 1, true}, {62, 1, true}, {63, 1, true}, {64, 1, true}, {300, 1, true}});
}

TEST_CASE("decode rows and chunks in one step") {
  check_pieces({{5, 1, true}, {128, 1, true}, {0, 70}, {64, 3}});
}

TEST_CASE("one long sequence") {
  for (DType dtype : model_dtypes())
    for (const Heads& h : {Heads{12, 2, 128}, Heads{14, 2, 64}}) {
      CAPTURE(name_of(dtype));
      CAPTURE(h.dim);
      int page_size = page_sizes().back();
      std::vector<Piece> among_short(9, {3, 1, true});
      among_short[4].cached = 5000;
      std::vector<std::vector<Piece>> steps{
          {{5000, 1, true}}, {{700, 1, true}, {5000, 1, true}}, among_short, {{1500, 200}}};
      for (const auto& pieces : steps) check_run(run(pieces, h, page_size, dtype), dtype);
    }
}

// A CTA does several of them.
TEST_CASE("attention: many short prompts") {
  std::vector<Piece> pieces(150, {0, 2});
  pieces.resize(300, {70, 1});
  for (DType dtype : model_dtypes())
    for (const Heads& h : {Heads{4, 4, 64}, Heads{12, 2, 128}}) {
      CAPTURE(name_of(dtype));
      CAPTURE(h.dim);
      check_run(run(pieces, h, page_sizes().back(), dtype), dtype);
    }
}

// The first and last of what a kernel for any head dimension has in its lanes.
TEST_CASE("attention of other head dimensions") {
  for (int64_t dim : {4, 62, 130, 256, 258, 514, 1024})
    for (DType dtype : model_dtypes()) {
      CAPTURE(dim);
      CAPTURE(name_of(dtype));
      check_run(
          run({{0, 1, true}, {65, 1, true}, {70, 2}}, {4, 2, dim}, page_sizes().back(), dtype),
          dtype);
    }
}

TEST_CASE("a float32 row is the same in any chunk, alone, and for any page size") {
  if (backend().kind != BackendKind::kCpu) return;
  // The pools of different page sizes hold the same keys: copy position by position.
  constexpr int64_t kLength = 150, kDim = 64, kWidth = 3 * 64;
  auto qkv = random_floats(kLength * kWidth, 1, 3), keys = random_floats(kLength * kDim, 2, 2),
       values = random_floats(kLength * kDim, 3);
  std::vector<float> first;
  for (int page_size : {1, 16, 64, 150})
    for (int32_t chunk : {1, 7, 64, 150}) {
      int64_t pages = ceil_div(kLength, page_size);
      std::vector<int32_t> table(static_cast<size_t>(pages)), positions(kLength), slots(kLength, 0);
      std::iota(table.rbegin(), table.rend(), 0);
      std::iota(positions.begin(), positions.end(), 0);
      Tensor k(backend().device, DType::f32, {pages, 1, page_size, kDim}),
          v(backend().device, DType::f32, {pages, 1, page_size, kDim});
      for (int64_t j = 0; j < kLength; ++j) {
        int64_t at = (table[static_cast<size_t>(j / page_size)] * page_size + j % page_size) * kDim;
        std::copy_n(keys.data() + j * kDim, kDim, data_of<float>(k) + at);
        std::copy_n(values.data() + j * kDim, kDim, data_of<float>(v) + at);
      }
      Tensor q = upload_floats(qkv, {kLength, kWidth}, DType::f32),
             out = poisoned({kLength, kDim}, DType::f32);
      for (int32_t begin = 0; begin < kLength; begin += chunk) {
        int32_t rows = std::min<int32_t>(chunk, kLength - begin);
        std::vector<Chunk> chunks{{0, 0, rows, begin}};
        bool decode = rows == 1;
        BatchView batch{rows,
                        decode ? 1 : 0,
                        positions.data() + begin,
                        slots.data(),
                        table.data(),
                        pages,
                        decode ? std::span<const Chunk>() : chunks,
                        chunks.data(),
                        kLength};
        backend().ops.attention(
            stream(),
            {out.view().rows(begin, rows), q.view().rows(begin, rows), {k, v}, batch, 1, 1});
      }
      auto got = download_floats(out);
      if (first.empty()) first = got;
      CAPTURE(page_size);
      CAPTURE(chunk);
      CHECK(std::memcmp(got.data(), first.data(), got.size() * 4) == 0);
    }
}
