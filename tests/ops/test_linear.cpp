#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Case {
  int64_t m, n, k;
  bool bias = false;
  Ending ending{};
  bool float_out = false;
};

struct Products {
  std::vector<float> got, want;
};

std::vector<float> reference(const Case& c, const std::vector<float>& x,
                             const std::vector<float>& w, const std::vector<float>& bias) {
  std::vector<double> y(static_cast<size_t>(c.m * c.n));
  for (int64_t m = 0; m < c.m; ++m)
    for (int64_t n = 0; n < c.n; ++n) {
      double sum = c.bias ? bias[static_cast<size_t>(n)] : 0;
      for (int64_t k = 0; k < c.k; ++k)
        sum += static_cast<double>(x[static_cast<size_t>(m * c.k + k)]) *
               w[static_cast<size_t>(n * c.k + k)];
      y[static_cast<size_t>(m * c.n + n)] = sum;
    }
  std::vector<float> out;
  if (!c.ending.is_silu()) return {y.begin(), y.end()};
  for (size_t i = 0; i < y.size(); i += 2)
    out.push_back(static_cast<float>(y[i] / (1 + std::exp(-y[i])) * y[i + 1]));
  return out;
}

Products run(const Case& c, DType dtype) {
  auto x = random_floats(c.m * c.k, 1), w = random_floats(c.n * c.k, 2),
       bias = random_floats(c.n, 3);
  Tensor natural = upload_floats(w, {c.n, c.k}, dtype), storage, b;
  Weight weight = backend().ops.pack_weight(stream(), natural, storage);
  if (c.bias) b = upload_floats(bias, {c.n}, dtype);
  Tensor input = upload_floats(x, {c.m, c.k}, dtype);
  Tensor out =
      poisoned({c.m, c.ending.is_silu() ? c.n / 2 : c.n}, c.float_out ? DType::f32 : dtype);
  backend().ops.linear(stream(), {out, input, weight, b, c.ending});
  return {download_floats(out),
          reference(c, as_seen(x, dtype), as_seen(w, dtype), as_seen(bias, dtype))};
}

void check_case(const Case& c) {
  for (DType dtype : model_dtypes()) {
    CAPTURE(name_of(dtype));
    CAPTURE(c.m);
    CAPTURE(c.n);
    CAPTURE(c.k);
    CAPTURE(c.bias);
    auto [got, want] = run(c, dtype);
    double limit = c.float_out || dtype == DType::f32 ? 2e-5 : tolerance(dtype).op;
    CHECK(relative_error(std::span<const float>(got), std::span<const float>(want)) < limit);
  }
}

}  // namespace

TEST_CASE("linear over odd shapes") {
  for (int64_t m : {1, 2, 3, 5, 8, 9, 16, 17, 33, 130})
    for (int64_t n : {1, 31, 64, 65, 200})
      for (int64_t k : {1, 8, 31, 33, 64, 448}) check_case({m, n, k, (m + n) % 2 == 0});
}

TEST_CASE("linear with SiLU-and-mul, float32 outputs, and nothing to do") {
  for (int64_t m : {1, 4, 7, 20, 64}) {
    check_case({m, 2 * 152, 64, false, Ending::silu_and_mul()});
    check_case({m, 2 * 31, 33, true, Ending::silu_and_mul()});
    check_case({m, 1000, 448, false, Ending(), true});
  }
  check_case({0, 64, 64});
}

TEST_CASE("linear over several blocks of rows, depth and panels") {
  check_case({600, 200, 96, true});
  check_case({90, 130, 480, true, Ending(), true});
  check_case({520, 2 * 170, 1280, true, Ending::silu_and_mul()});
}

namespace {

// q, k and v of some rows, and where their keys and values go.
struct RopeRig {
  int32_t heads, kv_heads;
  int64_t dim, rows, page_size = page_sizes().back(), slots = 3, stride = 3;
  PositionSplit split;
  DType dtype;
  std::vector<int32_t> positions, slot_of_row, table;
  Tensor p, s, t, angles, qkv, k, v;

  int64_t width() const { return (heads + 2 * kv_heads) * dim; }
  void set_up() {
    auto longest = static_cast<int32_t>(stride * split.span());
    for (int32_t i = 0; i < rows; ++i) {
      positions.push_back(i == 2 ? -1 : (i * 37 + 5) % longest);  // of different lines of a slot
      slot_of_row.push_back(i % static_cast<int32_t>(slots));
    }
    for (int32_t i = 0; i < slots * stride; ++i)
      table.push_back((i * 5 + 2) % static_cast<int32_t>(slots * stride));
    p = upload_ints(positions), s = upload_ints(slot_of_row), t = upload_ints(table);
    angles = upload_floats(random_floats(longest * dim, 8), {longest, dim}, DType::f32);
  }
  RopeAndStoreArgs fresh() {
    qkv = poisoned({rows, width()}, dtype);
    k = poisoned({slots * stride, kv_heads, page_size, dim}, dtype);
    v = poisoned({slots * stride, kv_heads, page_size, dim}, dtype);
    auto n = static_cast<int32_t>(rows);
    BatchView batch{n,
                    n,
                    data_of<int32_t>(p),
                    data_of<int32_t>(s),
                    data_of<int32_t>(t),
                    stride,
                    {},
                    nullptr,
                    static_cast<int32_t>(stride * split.span())};
    return {qkv, angles, {k, v, split}, batch, heads, kv_heads};
  }
  // What was written: turned queries of used rows, then all keys and values that are not poison.
  std::vector<float> written() const {
    std::vector<float> all, queries = download_floats(qkv);
    for (int64_t r = 0; r < rows; ++r)
      if (positions[static_cast<size_t>(r)] >= 0)
        all.insert(all.end(), queries.begin() + r * width(),
                   queries.begin() + r * width() + heads * dim);
    for (const Tensor* pages : {&k, &v})
      for (float x : download_floats(*pages))
        if (!std::isnan(x)) all.push_back(x);
    return all;
  }
};

void check_rope_case(RopeRig rig, int64_t depth) {
  rig.split.page_size = static_cast<int32_t>(rig.page_size);
  rig.set_up();
  auto x = random_floats(rig.rows * depth, 1), w = random_floats(rig.width() * depth, 2),
       b = random_floats(rig.width(), 3);
  Tensor natural = upload_floats(w, {rig.width(), depth}, rig.dtype), storage,
         bias = upload_floats(b, {rig.width()}, rig.dtype),
         input = upload_floats(x, {rig.rows, depth}, rig.dtype);
  const Ops& ops = backend().ops;
  Weight weight = ops.pack_weight(stream(), natural, storage);
  RopeAndStoreArgs apart = rig.fresh();
  ops.linear(stream(), {apart.qkv, input, weight, bias});
  ops.rope_and_store_kv(stream(), apart);
  std::vector<float> want = rig.written();
  RopeAndStoreArgs together = rig.fresh();
  ops.linear(stream(), {together.qkv, input, weight, bias, Ending::rope_and_store(together)});
  std::vector<float> got = rig.written();
  REQUIRE(got.size() == want.size());
  CHECK(relative_error(std::span<const float>(got), std::span<const float>(want)) <
        tolerance(rig.dtype).op);
}

}  // namespace

TEST_CASE("a product that ends with RoPE is the product, then RoPE") {
  for (DType dtype : model_dtypes())
    for (int64_t rows : {1, 2, 3, 7, 16, 33, 64, 90, 150, 190})
      for (int64_t dim : {64, 66, 72, 128})
        for (int32_t parts : {1, 2}) {
          CAPTURE(name_of(dtype));
          CAPTURE(rows);
          CAPTURE(dim);
          CAPTURE(parts);
          check_rope_case({.heads = dim == 66 ? 4 : 7,  // 8 x 66 rows are whole vectors, heads not
                           .kv_heads = 2,
                           .dim = dim,
                           .rows = rows,
                           .split = {parts, parts - 1, 1},
                           .dtype = dtype},
                          rows % 2 == 0 ? 448 : 72);
        }
}

TEST_CASE("a float32 row does not depend on its batch") {
  if (backend().kind != BackendKind::kCpu) return;
  constexpr int64_t kRows = 300, kOut = 129, kIn = 71;
  auto x = random_floats(kRows * kIn, 4), w = random_floats(kOut * kIn, 5);
  Tensor storage, natural = upload_floats(w, {kOut, kIn}, DType::f32),
                  input = upload_floats(x, {kRows, kIn}, DType::f32);
  Weight weight = backend().ops.pack_weight(stream(), natural, storage);
  Tensor all = poisoned({kRows, kOut}, DType::f32);
  backend().ops.linear(stream(), {all, input, weight, {}});
  for (int64_t begin : {0, 7, 256})
    for (int64_t count : {1, 5, 40}) {
      Tensor part = poisoned({count, kOut}, DType::f32);
      backend().ops.linear(stream(), {part, input.view().rows(begin, count), weight, {}});
      CHECK(std::memcmp(part.view().data, all.view().rows(begin, count).data, part.bytes()) == 0);
    }
}
