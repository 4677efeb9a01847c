// Prefixes that decode rows share may be read once for a group of them: what attention computes is
// what it computes without groups.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/attention_batch.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

constexpr int32_t kUnused = -1;  // instead of a row's own positions: the row is padding

// A step of decode rows in groups, and of a chunk behind them.
struct GroupedStep {
  std::vector<PrefixGroup> groups;
  std::vector<int32_t> own;  // positions of each row behind its innermost group and before its own
  int32_t chunk_rows = 0;

  int32_t num_decode() const { return static_cast<int32_t>(own.size()); }
  std::vector<int32_t> row_groups() const {
    std::vector<int32_t> of_rows(own.size(), -1);
    for (size_t i = 0; i < groups.size(); ++i)
      std::fill_n(of_rows.begin() + groups[i].first_row, groups[i].num_rows,
                  static_cast<int32_t>(i));
    return of_rows;
  }
};

// Where a step's positions are, for one rank of those that share them.
struct Layout {
  Layout(const GroupedStep& step, int page_size, const PositionSplit& split) {
    std::vector<int32_t> of_rows = step.row_groups();
    std::vector<std::vector<int32_t>> rows;
    for (size_t i = 0; i < step.own.size(); ++i) {
      int32_t group = of_rows[i], first = group < 0 ? 0 : at(step, group).end_page();
      std::vector<int32_t> pages(static_cast<size_t>(first));
      if (step.own[i] != kUnused) {
        positions.push_back(first * split.span() + step.own[i]);
        for (int32_t page = first; page * split.span() <= positions.back(); ++page)
          pages.push_back(num_pages++);
      } else {
        positions.push_back(-1);
      }
      rows.push_back(std::move(pages));
    }
    for (const PrefixGroup& g : step.groups)
      for (int32_t page = g.first_page; page < g.end_page(); ++page, ++num_pages)
        for (int32_t row = g.first_row; row < g.end_row(); ++row)
          rows[static_cast<size_t>(row)][static_cast<size_t>(page)] = num_pages;
    rows.emplace_back();  // the chunk's
    for (int32_t i = 0; i < step.chunk_rows; ++i) positions.push_back(i);
    for (int32_t i = 0; i * split.span() < step.chunk_rows; ++i) rows.back().push_back(num_pages++);
    for (const auto& pages : rows) stride = std::max(stride, static_cast<int64_t>(pages.size()));
    for (auto& pages : rows) {
      pages.resize(static_cast<size_t>(stride), num_pages);  // a page of nobody
      table.insert(table.end(), pages.begin(), pages.end());
    }
    ++num_pages;
    for (int32_t row = 0; row < static_cast<int32_t>(positions.size()); ++row) {
      slots.push_back(std::min(row, step.num_decode()));
      if (positions[static_cast<size_t>(row)] >= 0) note_filled(row, page_size, split);
    }
    if (step.chunk_rows > 0)
      chunks.push_back({step.num_decode(), step.num_decode(), step.chunk_rows, 0});
  }

  // Random, but NaN where no row has stored anything.
  std::vector<float> pool(const Heads& h, int page_size, uint64_t seed) const {
    int64_t line = page_size * h.dim;
    std::vector<float> values = random_floats(num_pages * h.kv_heads * line, seed, 2.0f);
    for (int32_t page = 0; page < num_pages; ++page)
      for (int32_t head = 0; head < h.kv_heads; ++head) {
        float* begin = values.data() + (page * h.kv_heads + head) * line;
        std::fill(begin + filled[static_cast<size_t>(page)] * h.dim, begin + line, NAN);
      }
    return values;
  }

  std::vector<int32_t> positions, slots, table, filled;
  std::vector<Chunk> chunks;
  int64_t stride = 0;
  int32_t num_pages = 0;

 private:
  static const PrefixGroup& at(const GroupedStep& step, int32_t group) {
    return step.groups[static_cast<size_t>(group)];
  }
  // Lines of pages that hold positions up to the row's.
  void note_filled(int32_t row, int page_size, const PositionSplit& split) {
    filled.resize(static_cast<size_t>(num_pages));
    int32_t length = split.count(positions[static_cast<size_t>(row)] + 1);
    for (int32_t i = 0; i * page_size < length; ++i) {
      int64_t entry = slots[static_cast<size_t>(row)] * stride + i;
      int32_t& lines = filled[static_cast<size_t>(table[static_cast<size_t>(entry)])];
      lines = std::max(lines, std::min(length - i * page_size, page_size));
    }
  }
};

AttentionResult attend(const GroupedStep& step, const Heads& h, const PositionSplit& split,
                       DType dtype, bool has_groups) {
  int page_size = split.page_size;
  Layout layout(step, page_size, split);
  auto rows = static_cast<int64_t>(layout.positions.size());
  int64_t width = (h.heads + 2 * h.kv_heads) * h.dim;
  Shape shape{layout.num_pages, h.kv_heads, page_size, h.dim};
  Tensor q = upload_floats(random_floats(rows * width, 1, 3.0f), {rows, width}, dtype),
         k = upload_floats(layout.pool(h, page_size, 2), shape, dtype),
         v = upload_floats(layout.pool(h, page_size, 3), shape, dtype);
  // A few unused groups behind those that there are, as in a captured step.
  std::vector<PrefixGroup> groups = step.groups;
  groups.resize(groups.size() + 3);
  Tensor p = upload_ints(layout.positions), s = upload_ints(layout.slots),
         t = upload_ints(layout.table), c = upload_structs(layout.chunks),
         g = upload_structs(groups), of_rows = upload_ints(step.row_groups());
  BatchView batch{static_cast<int32_t>(rows),
                  step.num_decode(),
                  data_of<int32_t>(p),
                  data_of<int32_t>(s),
                  data_of<int32_t>(t),
                  layout.stride,
                  layout.chunks,
                  data_of<Chunk>(c),
                  static_cast<int32_t>(layout.stride * split.span())};
  if (has_groups) {
    batch.num_prefix_groups = static_cast<int32_t>(groups.size());
    batch.prefix_groups = data_of<PrefixGroup>(g);
    batch.row_groups = data_of<int32_t>(of_rows);
  }
  // What an unused row leaves is nobody's business.
  Tensor out(backend().device, dtype, {rows, h.heads * h.dim}),
      log_sums(backend().device, DType::f32, {rows, h.heads});
  backend().device.fill(stream(), out.view().data, 0, out.bytes());
  backend().device.fill(stream(), log_sums.view().data, 0, log_sums.bytes());
  bool is_split = split.parts > 1;
  backend().ops.begin_step(stream(), batch,
                           {h.heads, h.kv_heads, static_cast<int32_t>(h.dim), split});
  for (int layer = 0; layer < 2; ++layer)
    backend().ops.attention(stream(), {out,
                                       q,
                                       {k, v, split},
                                       batch,
                                       h.heads,
                                       h.kv_heads,
                                       is_split ? data_of<float>(log_sums) : nullptr});
  return {download_floats(out), download_floats(log_sums)};
}

void check_log_sums(const std::vector<float>& got, const std::vector<float>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    bool is_same = got[i] == want[i] || std::abs(got[i] - want[i]) < 1e-3f;
    if (!is_same) CAPTURE(i);
    if (!is_same) CHECK(got[i] == want[i]);
  }
}

void check_step(const GroupedStep& step, const Heads& h, const PositionSplit& split) {
  for (DType dtype : model_dtypes()) {
    CAPTURE(name_of(dtype));
    CAPTURE(h.heads);
    CAPTURE(h.kv_heads);
    CAPTURE(h.dim);
    CAPTURE(split.parts);
    CAPTURE(split.part);
    AttentionResult got = attend(step, h, split, dtype, true),
                    want = attend(step, h, split, dtype, false);
    CHECK(relative_error(std::span<const float>(got.out), std::span<const float>(want.out)) <
          tolerance(dtype).op);
    check_log_sums(got.log_sums, want.log_sums);
    if (!backend().groups_prefixes)
      CHECK(std::memcmp(got.out.data(), want.out.data(), got.out.size() * 4) == 0);
  }
}

const std::vector<Heads> kGroupedHeads{{12, 2, 128}, {14, 2, 64}, {28, 4, 128}, {4, 4, 64},
                                       {16, 2, 128}, {5, 1, 64},  {6, 1, 128},  {3, 1, 80}};

// Where groups are ignored, one shape says so.
std::vector<Heads> some_heads() {
  return backend().groups_prefixes ? kGroupedHeads : std::vector<Heads>{{4, 2, 16}};
}

void check_step(const GroupedStep& step) {
  for (const Heads& h : some_heads()) check_step(step, h, {.page_size = page_sizes().back()});
}

std::vector<int32_t> cycle(size_t rows, const std::vector<int32_t>& own) {
  std::vector<int32_t> all;
  while (all.size() < rows) all.push_back(own[all.size() % own.size()]);
  return all;
}

GroupedStep nested_step() {
  GroupedStep step{.groups = {{2, 40, 0, 6, -1},
                              {5, 17, 6, 3, 0},
                              {7, 5, 9, 2, 1},
                              {27, 15, 6, 1, 0},
                              {44, 3, 0, 5, -1}},
                   .own = cycle(49, {0, 5, 63, 64, 130, 1, 200})};
  step.own[43] = step.own[47] = step.own[48] = kUnused;
  return step;
}

}  // namespace

TEST_CASE("attention: a group of rows reads its prefix once") {
  check_step({.groups = {{0, 5, 0, 3, -1}}, .own = {0, 1, 63, 64, 200}});
  check_step({.groups = {{0, 2, 0, 1, -1}}, .own = {0, 0}});
}

TEST_CASE("attention: groups nest, among rows of no group, unused ones and a chunk") {
  check_step(nested_step());
  GroupedStep step = nested_step();
  step.chunk_rows = 70;
  check_step(step);
}

TEST_CASE("attention: groups of more rows than a tile, and of prefixes that many share out") {
  check_step({.groups = {{0, 70, 0, 40, -1}}, .own = cycle(70, {3, 70})});
  check_step({.groups = {{1, 4, 0, 90, -1}, {5, 130, 0, 7, -1}, {6, 30, 7, 8, 1}},
              .own = cycle(140, {3, 70, 10})});
}

TEST_CASE("attention: groups where ranks share the positions") {
  int page_size = page_sizes().back();
  for (const Heads& h : some_heads())
    for (int32_t parts : {2, 3})
      for (int32_t part = 0; part < parts; ++part)
        check_step(nested_step(), h, {parts, part, page_size});
}

// More than there is room for: the rows of some read for themselves.
TEST_CASE("attention: any number of groups") {
  GroupedStep step;
  int32_t pairs = backend().groups_prefixes ? 300 : 20;
  for (int32_t i = 0; i < pairs; ++i) step.groups.push_back({2 * i, 2, 0, 2, -1});
  step.own = cycle(static_cast<size_t>(2 * pairs), {3, 0, 17});
  check_step(step, {16, 8, 64}, {.page_size = page_sizes().back()});
  check_step(step);
}
