#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "base/numbers.h"
#include "base/random.h"
#include "tests/ops/norm_eps.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

using Span = std::span<const float>;

// Up to two heads for a thread of the fast kernel, and more than it takes at once.
struct RopeShape {
  int64_t dim;
  int32_t heads;
};
constexpr RopeShape kRopeShapes[] = {{2, 7},  {64, 7},  {64, 97},  {66, 7},
                                     {72, 7}, {128, 7}, {128, 45}, {128, 96}};

}  // namespace

TEST_CASE("add_rms_norm") {
  for (DType dtype : model_dtypes())
    for (int64_t t : {0, 1, 3, 33})
      for (int64_t e : {8, 31, 64, 448, 1000, 3584})
        for (bool has_delta : {false, true}) {
          CAPTURE(name_of(dtype));
          CAPTURE(t);
          CAPTURE(e);
          auto r = random_floats(t * e, 1, 3), d = random_floats(t * e, 2),
               g = random_floats(e, 3, 2);
          Tensor residual = upload_floats(r, {t, e}, dtype),
                 delta = upload_floats(d, {t, e}, dtype);
          Tensor weight = upload_floats(g, {e}, dtype), out = poisoned({t, e}, dtype);
          backend().ops.add_rms_norm(
              stream(), {out, residual, has_delta ? delta.view() : TensorView{}, weight, kNormEps});
          auto x = as_seen(r, dtype), y = as_seen(d, dtype), w = as_seen(g, dtype);
          if (has_delta)
            for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
          x = as_seen(x, dtype);
          std::vector<float> want(x.size());
          for (int64_t row = 0; row < t; ++row) {
            double squares = 0;
            for (int64_t i = 0; i < e; ++i)
              squares += std::pow(static_cast<double>(x[static_cast<size_t>(row * e + i)]), 2);
            double scale = 1 / std::sqrt(squares / static_cast<double>(e) + 1e-6);
            for (int64_t i = 0; i < e; ++i) {
              auto k = static_cast<size_t>(row * e + i);
              want[k] = static_cast<float>(x[k] * scale * w[static_cast<size_t>(i)]);
            }
          }
          auto got = download_floats(out);
          CHECK(relative_error(Span(got), Span(want)) < tolerance(dtype).op);
          CHECK(download_floats(residual) == x);
        }
}

TEST_CASE("embed takes its shard's rows, last tokens for decode rows, and zeros for the rest") {
  for (DType dtype : model_dtypes()) {
    constexpr int64_t kVocab = 70, kWidth = 34, kBegin = 100;
    auto table = random_floats(kVocab * kWidth, 1);
    Tensor natural = upload_floats(table, {kVocab, kWidth}, dtype), storage;
    Weight weight = backend().ops.pack_weight(stream(), natural, storage);
    std::vector<int32_t> ids{100, 169, 99, 170, ~0, ~2, 133}, last{164, 7, 101};
    std::vector<int64_t> rows{0, 69, -1, -1, 64, 1, 33};
    Tensor id = upload_ints(ids), tokens = upload_ints(last), out = poisoned({7, kWidth}, dtype);
    backend().ops.embed(stream(),
                        {out, weight, data_of<int32_t>(id), data_of<int32_t>(tokens), kBegin});
    auto got = download_floats(out), seen = as_seen(table, dtype);
    for (size_t i = 0; i < rows.size(); ++i)
      for (int64_t k = 0; k < kWidth; ++k)
        CHECK(got[i * kWidth + static_cast<size_t>(k)] ==
              (rows[i] < 0 ? 0.0f : seen[static_cast<size_t>(rows[i] * kWidth + k)]));
  }
}

TEST_CASE("gather_rows") {
  for (DType dtype : model_dtypes()) {
    auto x = random_floats(9 * 31, 1);
    Tensor in = upload_floats(x, {9, 31}, dtype), rows = upload_ints({8, 0, 3, 3}),
           out = poisoned({4, 31}, dtype);
    backend().ops.gather_rows(stream(), out, in, data_of<int32_t>(rows));
    auto got = download_floats(out), seen = as_seen(x, dtype);
    size_t i = 0;
    for (size_t row : {8, 0, 3, 3}) {
      for (size_t k = 0; k < 31; ++k) CHECK(got[i * 31 + k] == seen[row * 31 + k]);
      ++i;
    }
  }
}

TEST_CASE("rope rotates q in place and writes k and v to their pages") {
  for (DType dtype : model_dtypes())
    for (int page_size : page_sizes())
      for (auto [dim, heads] : kRopeShapes) {
        CAPTURE(name_of(dtype));
        CAPTURE(page_size);
        CAPTURE(dim);
        CAPTURE(heads);
        constexpr int32_t kKvHeads = 2, kSlots = 3;
        int64_t stride = 200 / page_size + 1, pages = kSlots * stride,
                width = (heads + 2 * kKvHeads) * dim;
        std::vector<int32_t> positions{0, 1, 63, 64, 150, -1, 199}, slots{2, 2, 0, 0, 1, 0, 1},
            table;
        for (int64_t i = 0; i < pages; ++i)
          table.push_back(static_cast<int32_t>((i * 7 + 3) % pages));
        if (pages % 7 == 0) continue;
        auto qkv = random_floats(7 * width, 1), angles = random_floats(200 * dim, 2);
        Tensor device_qkv = upload_floats(qkv, {7, width}, dtype),
               cos_sin = upload_floats(angles, {200, dim}, DType::f32);
        Tensor k = poisoned({pages, kKvHeads, page_size, dim}, dtype),
               v = poisoned({pages, kKvHeads, page_size, dim}, dtype);
        Tensor p = upload_ints(positions), s = upload_ints(slots), t = upload_ints(table);
        BatchView batch{
            7,       7,  data_of<int32_t>(p), data_of<int32_t>(s), data_of<int32_t>(t), stride, {},
            nullptr, 200};
        backend().ops.rope_and_store_kv(stream(),
                                        {device_qkv, cos_sin, {k, v}, batch, heads, kKvHeads});
        auto got = download_floats(device_qkv), keys = download_floats(k),
             values = download_floats(v), x = as_seen(qkv, dtype);
        auto rotated = [&](size_t row, int64_t head, int64_t d) {
          auto position = static_cast<size_t>(positions[row]),
               at = row * static_cast<size_t>(width) + static_cast<size_t>(head * dim);
          int64_t half = dim / 2, i = d / 2;
          double c = angles[position * static_cast<size_t>(dim) + static_cast<size_t>(i)],
                 sn = angles[position * static_cast<size_t>(dim) + static_cast<size_t>(i + half)];
          double a = x[at + static_cast<size_t>(2 * i)], b = x[at + static_cast<size_t>(2 * i + 1)];
          return static_cast<float>(d % 2 == 0 ? a * c - b * sn : b * c + a * sn);
        };
        std::vector<float> want_q, got_q, want_k, got_k, want_v, got_v;
        for (size_t row = 0; row < 7; ++row) {
          if (positions[row] < 0) continue;
          for (int64_t h = 0; h < heads; ++h)
            for (int64_t d = 0; d < dim; ++d) {
              want_q.push_back(rotated(row, h, d));
              got_q.push_back(
                  got[row * static_cast<size_t>(width) + static_cast<size_t>(h * dim + d)]);
            }
          int64_t page =
              table[static_cast<size_t>(slots[row] * stride + positions[row] / page_size)];
          for (int64_t h = 0; h < kKvHeads; ++h)
            for (int64_t d = 0; d < dim; ++d) {
              auto at = static_cast<size_t>(
                  ((page * kKvHeads + h) * page_size + positions[row] % page_size) * dim + d);
              want_k.push_back(rotated(row, heads + h, d));
              got_k.push_back(keys[at]);
              want_v.push_back(x[row * static_cast<size_t>(width) +
                                 static_cast<size_t>((heads + kKvHeads + h) * dim + d)]);
              got_v.push_back(values[at]);
            }
        }
        CHECK(relative_error(Span(got_q), Span(want_q)) < tolerance(dtype).op);
        CHECK(relative_error(Span(got_k), Span(want_k)) < tolerance(dtype).op);
        CHECK(got_v == want_v);
      }
}

TEST_CASE("page tables and page copies") {
  for (DType dtype : model_dtypes())
    for (int page_size : page_sizes()) {
      Tensor table = upload_ints(std::vector<int32_t>(12, -1));
      Tensor deltas = upload_structs(std::vector<PageDelta>{{0, 0, 5}, {2, 3, 7}, {1, 1, 9}});
      backend().ops.update_page_table(stream(), data_of<int32_t>(table), 4,
                                      data_of<PageDelta>(deltas), 3);
      CHECK(download<int32_t>(table.view().data, 12) ==
            std::vector<int32_t>{5, -1, -1, -1, -1, 9, -1, -1, -1, -1, -1, 7});

      constexpr int64_t kPools = 4, kPages = 5, kHeads = 3;
      std::vector<PageCopy> copies{{0, 3, page_size}, {1, 4, ceil_div(page_size, 2)}};
      Tensor list = upload_structs(copies);
      for (int64_t dim : {64, 66}) {
        int64_t head = page_size * dim, pool = kPages * kHeads * head;
        auto values = random_floats(kPools * pool, 1), want = as_seen(values, dtype);
        Tensor pools = upload_floats(values, {kPools, kPages, kHeads, head}, dtype);
        backend().ops.copy_pages(stream(), pools, page_size, data_of<PageCopy>(list), 2);
        for (int64_t p = 0; p < kPools; ++p)
          for (const PageCopy& c : copies)
            for (int64_t h = 0; h < kHeads; ++h) {
              auto at = [&](int32_t page) {
                return want.begin() + p * pool + (page * kHeads + h) * head;
              };
              std::copy_n(at(c.source), c.num_rows * dim, at(c.target));
            }
        CHECK(download_floats(pools) == want);
      }
    }
}

TEST_CASE("random weights of a shard are the slice of the whole") {
  for (DType dtype : model_dtypes()) {
    Tensor whole = poisoned({40, 30}, dtype), part = poisoned({7, 11}, dtype),
           vector = poisoned({40}, dtype);
    backend().ops.fill_random(stream(), whole, 99, 0.5f, 0, 0, 30);
    backend().ops.fill_random(stream(), part, 99, 0.5f, 20, 13, 30);
    backend().ops.fill_random(stream(), vector, 99, 0.5f, 0, 0, 1);
    auto all = download_floats(whole), some = download_floats(part);
    double sum = 0, squares = 0;
    for (float x : all) sum += x, squares += x * x;
    CHECK(std::abs(sum / 1200) < 0.05);
    CHECK(squares / 1200 == doctest::Approx(0.25 / 3).epsilon(0.1));
    for (size_t r = 0; r < 7; ++r)
      for (size_t c = 0; c < 11; ++c) CHECK(some[r * 11 + c] == all[(20 + r) * 30 + 13 + c]);
    for (float x : download_floats(vector)) CHECK(std::abs(x) <= 0.5f);
  }
}
