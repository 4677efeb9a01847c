// What a grid of ranks needs besides the ops of one.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "base/numbers.h"
#include "tests/ops/norm_eps.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

using Span = std::span<const float>;

// One sequence whose keys and values lie on `parts` ranks, and the rows that attend to it: a chunk
// at its end, and before it decode rows of other sequences of all lengths.
struct SplitRig {
  int32_t heads, kv_heads, parts, page_size, length;
  int64_t dim;
  DType dtype;
  std::vector<int32_t> positions, slots;
  std::vector<Chunk> chunks;
  std::vector<float> qkv;
  int32_t num_decode = 0;

  SplitRig(int32_t h, int32_t kv, int64_t d, int32_t num_parts, int32_t page, DType type,
           int32_t max_length = 160)
      : heads(h),
        kv_heads(kv),
        parts(num_parts),
        page_size(page),
        length(max_length),
        dim(d),
        dtype(type) {
    for (int32_t position : {0, 1, page - 1, page, 2 * page + 1, length - 10}) {
      positions.push_back(position);
      slots.push_back(num_decode++);
    }
    int32_t first = length / 5, count = length * 7 / 16;
    chunks = {{num_decode, num_decode, count, first}};
    for (int32_t i = 0; i < count; ++i) positions.push_back(first + i), slots.push_back(num_decode);
    qkv = random_floats(rows() * width(), 1, 2);
  }

  int64_t rows() const { return static_cast<int64_t>(positions.size()); }
  int64_t width() const { return (heads + 2 * kv_heads) * dim; }
  int32_t num_slots() const { return num_decode + 1; }

  // Keys (or values) of a sequence's position: the same on whichever rank and page they lie.
  std::vector<float> line(int32_t slot, int32_t position, int32_t head, uint64_t seed) const {
    return random_floats(dim, seed + static_cast<uint64_t>((slot * 10000 + position) * 16 + head),
                         2);
  }

  std::vector<float> pool(const PositionSplit& split, int64_t stride, uint64_t seed) const {
    std::vector<float> all(static_cast<size_t>(num_slots() * stride * kv_heads * page_size * dim),
                           NAN);
    for (int32_t slot = 0; slot < num_slots(); ++slot)
      for (int32_t position = 0; position <= longest(slot); ++position) {
        if (!split.owns(position)) continue;
        int32_t own = split.count(position);
        for (int32_t head = 0; head < kv_heads; ++head) {
          auto x = line(slot, position, head, seed);
          int64_t page = slot * stride + own / page_size;
          std::copy(x.begin(), x.end(),
                    all.begin() + ((page * kv_heads + head) * page_size + own % page_size) * dim);
        }
      }
    return all;
  }
  int32_t longest(int32_t slot) const {
    return slot < num_decode ? positions[static_cast<size_t>(slot)] : positions.back();
  }

  struct Part {
    Tensor out, log_sums;
  };
  // Attention over the positions of one rank; all of them for a split into one.
  Part attend(const PositionSplit& split) const {
    int64_t stride = ceil_div(length, split.span());
    Shape shape{num_slots() * stride, kv_heads, page_size, dim};
    Tensor k = upload_floats(pool(split, stride, 10), shape, dtype),
           v = upload_floats(pool(split, stride, 20), shape, dtype);
    std::vector<int32_t> table;
    for (int32_t i = 0; i < num_slots() * stride; ++i) table.push_back(i);
    Tensor t = upload_ints(table), p = upload_ints(positions), s = upload_ints(slots),
           c = upload_structs(chunks), q = upload_floats(qkv, {rows(), width()}, dtype);
    BatchView batch{static_cast<int32_t>(rows()),
                    num_decode,
                    data_of<int32_t>(p),
                    data_of<int32_t>(s),
                    data_of<int32_t>(t),
                    stride,
                    chunks,
                    data_of<Chunk>(c),
                    length};
    Part part{poisoned({rows(), heads * dim}, dtype), poisoned({rows(), heads}, DType::f32)};
    backend().ops.begin_step(stream(), batch, {heads, kv_heads, static_cast<int32_t>(dim), split});
    backend().ops.attention(stream(), {part.out,
                                       q,
                                       {k, v, split},
                                       batch,
                                       heads,
                                       kv_heads,
                                       split.parts > 1 ? data_of<float>(part.log_sums) : nullptr});
    finish();
    return part;
  }
};

// What all parts make together, slice by slice, as after the exchange.
std::vector<float> merged(const SplitRig& rig, int32_t copies) {
  int32_t slices = rig.parts / copies;
  int64_t all = rig.heads * rig.dim, width = all / slices;
  AttentionParts parts{nullptr, rig.rows(), rig.heads, width, rig.dtype};
  auto bytes = static_cast<int64_t>(parts.part_bytes());
  std::vector<Tensor> received;
  for (int32_t i = 0; i < rig.parts; ++i)
    received.push_back(poisoned({rig.parts, bytes}, DType::u8));
  for (int32_t part = 0; part < rig.parts; ++part) {
    SplitRig::Part own = rig.attend({rig.parts, part, rig.page_size});
    Tensor sent = poisoned({rig.parts, bytes}, DType::u8);
    parts.data = sent.view().data;
    backend().ops.pack_attention(stream(),
                                 {parts, rig.parts, copies, own.out, data_of<float>(own.log_sums)});
    for (int32_t to = 0; to < rig.parts; ++to)
      backend().device.copy(stream(), received[static_cast<size_t>(to)].view().rows(part, 1).data,
                            sent.view().rows(to, 1).data, static_cast<size_t>(bytes));
    finish();
  }
  std::vector<float> out(static_cast<size_t>(rig.rows() * all));
  for (int32_t member = 0; member < rig.parts; ++member) {
    Tensor slice = poisoned({rig.rows(), width}, rig.dtype);
    parts.data = received[static_cast<size_t>(member)].view().data;
    int64_t first = member / copies * width;
    backend().ops.merge_attention(stream(), {slice, parts, rig.parts, first, rig.dim});
    auto values = download_floats(slice);
    for (int64_t row = 0; row < rig.rows(); ++row)
      for (int64_t i = 0; i < width; ++i)
        out[static_cast<size_t>(row * all + first + i)] =
            values[static_cast<size_t>(row * width + i)];
  }
  return out;
}

}  // namespace

TEST_CASE("attention over parts of the positions, merged, is attention over all of them") {
  for (DType dtype : model_dtypes())
    for (int page_size : page_sizes())
      for (auto [parts, copies] : {std::pair<int32_t, int32_t>{2, 1}, {3, 3}, {4, 2}, {8, 1}})
        for (int64_t dim : {64, 80, 128}) {
          CAPTURE(name_of(dtype));
          CAPTURE(page_size);
          CAPTURE(parts);
          CAPTURE(dim);
          SplitRig rig(4, 2, dim, parts, page_size, dtype);
          auto got = merged(rig, copies), want = download_floats(rig.attend({}).out);
          CHECK(relative_error(Span(got), Span(want)) < 2 * tolerance(dtype).op);
        }
}

TEST_CASE("attention over parts of long sequences") {
  for (auto [heads, parts] : {std::pair<int32_t, int32_t>{14, 2}, {6, 3}})
    for (int64_t dim : {64, 128}) {
      CAPTURE(parts);
      CAPTURE(dim);
      SplitRig rig(heads, 2, dim, parts, page_sizes().back(), model_dtypes().front(), 1700);
      auto got = merged(rig, 1), want = download_floats(rig.attend({}).out);
      CHECK(relative_error(Span(got), Span(want)) < 2 * tolerance(rig.dtype).op);
    }
}

TEST_CASE("attention over no position gives zeros that weigh nothing") {
  for (DType dtype : model_dtypes())
    for (size_t dim : {64, 80}) {
      int32_t page_size = page_sizes().back();
      SplitRig rig(4, 2, static_cast<int64_t>(dim), 2, page_size, dtype);
      SplitRig::Part second = rig.attend({2, 1, page_size});  // the first page is the other rank's
      auto sums = download_floats(second.log_sums), out = download_floats(second.out);
      for (size_t head = 0; head < 4; ++head) CHECK(sums[head] == -INFINITY);
      for (size_t i = 0; i < 4 * dim; ++i) CHECK(out[i] == 0.0f);
    }
}

TEST_CASE("rope stores the positions of this rank only") {
  for (DType dtype : model_dtypes()) {
    int32_t page_size = page_sizes().back();
    constexpr int64_t kDim = 64;
    std::vector<int32_t> positions{0, page_size - 1, page_size, 2 * page_size, 3 * page_size + 5};
    auto rows = static_cast<int64_t>(positions.size());
    Tensor p = upload_ints(positions), s = upload_ints({0, 0, 0, 0, 0}), t = upload_ints({1, 0}),
           qkv = upload_floats(random_floats(rows * 3 * kDim, 1), {rows, 3 * kDim}, dtype),
           angles =
               upload_floats(std::vector<float>(static_cast<size_t>(4 * page_size * kDim), 0.5f),
                             {4 * page_size, kDim}, DType::f32),
           k = poisoned({2, 1, page_size, kDim}, dtype),
           v = poisoned({2, 1, page_size, kDim}, dtype);
    BatchView batch{5,  5,       data_of<int32_t>(p), data_of<int32_t>(s), data_of<int32_t>(t), 2,
                    {}, nullptr, 4 * page_size};
    backend().ops.rope_and_store_kv(stream(),
                                    {qkv, angles, {k, v, {2, 1, page_size}}, batch, 1, 1});
    auto values = download_floats(v), rows_of = download_floats(qkv);
    std::vector<int64_t> written;
    for (int64_t line = 0; line < 2 * page_size; ++line)
      if (!std::isnan(values[static_cast<size_t>(line * kDim)])) written.push_back(line);
    // Positions page_size and 3 page_size + 5 are the own 0th and (page_size + 5)th.
    CHECK(written == std::vector<int64_t>{5, page_size});
    CHECK(values[static_cast<size_t>(page_size * kDim)] == rows_of[(2 * 3 + 2) * kDim]);
    CHECK(values[static_cast<size_t>(5 * kDim)] == rows_of[(4 * 3 + 2) * kDim]);
  }
}

TEST_CASE("a product of rows not yet normalised, finished, is the product of normalised rows") {
  for (DType dtype : model_dtypes())
    for (int64_t t : {0, 1, 33})
      for (int64_t e : {31, 448})
        for (bool is_silu : {false, true}) {
          CAPTURE(name_of(dtype));
          CAPTURE(t);
          CAPTURE(e);
          constexpr int64_t kOut = 70;
          auto r = random_floats(t * e, 1, 3), products = random_floats(t * kOut, 2, 3),
               b = random_floats(kOut, 3);
          Tensor residual = upload_floats(r, {t, e}, dtype),
                 gain = upload_floats(random_floats(e, 4), {e}, dtype),
                 normed = poisoned({t, e}, dtype), squares = poisoned({t}, DType::f32);
          backend().ops.add_rms_norm(
              stream(), {normed, residual, {}, gain, kNormEps, data_of<float>(squares)});
          auto x = as_seen(r, dtype), g = download_floats(gain), u = download_floats(normed);
          for (size_t i = 0; i < x.size(); ++i)
            CHECK(u[i] == as_seen({x[i] * g[i % static_cast<size_t>(e)]}, dtype)[0]);
          Tensor wide = upload_floats(products, {t, kOut}, dtype),
                 bias = upload_floats(b, {kOut}, dtype),
                 out = poisoned({t, is_silu ? kOut / 2 : kOut}, dtype);
          backend().ops.finish_linear(stream(),
                                      {out, wide, data_of<float>(squares), e, kNormEps, bias,
                                       is_silu ? Ending::silu_and_mul() : Ending()});
          auto y = as_seen(products, dtype), biases = as_seen(b, dtype);
          std::vector<float> want;
          for (int64_t row = 0; row < t; ++row) {
            double sum = 0;
            for (int64_t i = 0; i < e; ++i)
              sum += std::pow(x[static_cast<size_t>(row * e + i)], 2.0);
            double scale = 1 / std::sqrt(sum / static_cast<double>(e) + 1e-6);
            auto value = [&](int64_t i) {
              return y[static_cast<size_t>(row * kOut + i)] * scale +
                     biases[static_cast<size_t>(i)];
            };
            for (int64_t i = 0; i < out.view().dim(1); ++i) {
              double gate = is_silu ? value(2 * i) : 0;
              want.push_back(static_cast<float>(
                  is_silu ? gate / (1 + std::exp(-gate)) * value(2 * i + 1) : value(i)));
            }
          }
          auto got = download_floats(out);
          CHECK(relative_error(Span(got), Span(want)) < tolerance(dtype).op);
        }
}

TEST_CASE("add, and copies of columns") {
  for (DType dtype : model_dtypes()) {
    auto a = random_floats(5 * 31, 1), b = random_floats(5 * 31, 2);
    Tensor to = upload_floats(a, {5, 31}, dtype), x = upload_floats(b, {5, 31}, dtype),
           wide = poisoned({5, 50}, dtype);
    backend().ops.add(stream(), to, x);
    auto sum = download_floats(to), left = as_seen(a, dtype), right = as_seen(b, dtype);
    for (size_t i = 0; i < sum.size(); ++i)
      CHECK(sum[i] == as_seen({left[i] + right[i]}, dtype)[0]);
    backend().ops.copy_columns(stream(), wide, 40, x, 7, 9);
    auto got = download_floats(wide);
    for (size_t row = 0; row < 5; ++row)
      for (size_t column = 0; column < 50; ++column) {
        float value = got[row * 50 + column];
        bool is_copied = column >= 40 && column < 49;
        CHECK((is_copied ? value == right[row * 31 + column - 33] : std::isnan(value)));
      }
  }
}

TEST_CASE("an unpacked weight is the natural one") {
  for (DType dtype : model_dtypes())
    for (auto [rows, cols] : {std::pair<int64_t, int64_t>{1, 8}, {64, 32}, {130, 50}}) {
      auto values = random_floats(rows * cols, 1);
      Tensor natural = upload_floats(values, {rows, cols}, dtype), storage;
      Weight weight = backend().ops.pack_weight(stream(), natural, storage);
      Tensor again = backend().ops.unpack_weight(stream(), weight, storage);
      CHECK(again.view().shape == Shape{rows, cols});
      CHECK(download_floats(again) == as_seen(values, dtype));
    }
}
