#include "runtime/planning/grid_cost.h"

#include <algorithm>
#include <cmath>

namespace ll {
namespace {

// A gather and products at the same time are in each other's way: of the gather that takes a share
// s of the products' time, 2 s is not hidden, and at worst a tenth more than all of it (RESULTS.md,
// Collectives: 0.17 of it at s = 0.09, 0.75 at 0.39, all at 1.6).
constexpr double kUnhidden = 2, kInTheWay = 1.1;

// One layer of one rank, in seconds; `rows` are those the rank computes itself.
struct LayerCost {
  const DeviceTimes& device;
  const LinkTimes& links;
  const GridShape& grid;
  const RankSizes& s;
  const StepWork& work;
  int columns;  // whose weights the rank multiplies with: 1, or z

  double rows() const { return std::ceil(static_cast<double>(work.rows) / columns); }
  double size() const { return static_cast<double>(s.element_bytes); }
  int qkv_columns() const { return s.merged_share_heads ? 1 : columns; }
  int summed_columns() const { return grid.columns() / columns; }

  double bytes_of(int64_t elements) const { return static_cast<double>(elements) * size(); }

  double products() const {
    double time = 0;
    for (const RankSizes::Matrix& m : s.matrices)
      time += (m.is_shared ? 1 : columns) * device.product_s(rows(), bytes_of(m.elements));
    return time;
  }
  double attention() const {
    double parts = grid.kv_parts(), dim = static_cast<double>(s.head_dim);
    double bytes = static_cast<double>(work.kv_positions * s.kv_heads) * 2 * dim * size() / parts;
    double flops = 4 * static_cast<double>(work.prompt_pairs * s.heads) * dim / parts;
    return (bytes > 0 ? device.attention_read.at(bytes) : 0) + flops / device.attention_flops_per_s;
  }
  // Norms that no sum brings with it, RoPE, SiLU: as long as launching or moving their rows takes.
  double small_ops() const {
    bool own_norms = summed_columns() == 1;
    double ops = 1 + (own_norms ? 2 : 0) + (grid.x > 1 ? 4 : 0) + (grid.kv_parts() > 1 ? 2 : 0) +
                 2 * (columns - 1);
    double width = (own_norms ? 8.0 : 0) * static_cast<double>(s.hidden_part) +
                   2 * static_cast<double>(s.qkv) + 3.0 * columns * static_cast<double>(s.ffn);
    return std::max(ops * device.small_op_s, rows() * width * size() / device.bytes_per_s);
  }
  double x_sums() const {
    double qkv_width = qkv_columns() * static_cast<double>(s.qkv),
           ffn_width = columns * static_cast<double>(2 * s.ffn);
    return links.two_sums_s(grid.x, rows() * qkv_width * size()) +
           links.two_sums_s(grid.x, rows() * ffn_width * size());
  }
  double y_sums() const {
    return 2 * links.sum_and_norm_s(summed_columns(), static_cast<int64_t>(rows()),
                                    rows() * bytes_of(s.hidden_part));
  }
  double kv_exchange() const {
    double row = bytes_of(s.slice) + static_cast<double>(s.heads) * 4;
    return links.all_to_all_s(grid.kv_parts(),
                              (grid.kv_parts() - 1) * static_cast<double>(work.rows) * row);
  }
  // The next layer's weights come while this one's products run, where the links work on their own.
  double gather_weights() const {
    double others = columns - 1, alone = 0;
    for (const RankSizes::Matrix& m : s.matrices)
      if (!m.is_shared) alone += links.gather_s(columns, others * bytes_of(m.elements));
    if (!links.hides_gathers) return alone;
    return alone * std::min(kInTheWay, kUnhidden * alone / products());
  }
  double exchange_tokens() const {
    double sent = (columns - 1) * rows();
    return links.all_to_all_s(columns, sent * bytes_of(s.qkv)) +
           links.all_to_all_s(columns, sent * bytes_of(s.slice));
  }
  double total() const {
    double time = products() + attention() + small_ops() + x_sums() + y_sums() + kv_exchange();
    return columns == 1 ? time : time + gather_weights() + exchange_tokens();
  }
};

// One row on one device: all weights and the sequence's keys and values are read once.
double one_kernel_seconds(const DeviceTimes& device, const RankSizes& s, const StepWork& work) {
  double bytes = s.weight_bytes() + static_cast<double>(work.kv_positions) * s.kv_bytes();
  return static_cast<double>(s.layers) * device.one_kernel_layer_s + bytes / device.bytes_per_s;
}

bool is_one_kernel(const DeviceTimes& device, const GridShape& grid, const RankSizes& s,
                   const StepWork& work) {
  const auto& known = device.one_kernel_hidden;
  return grid.replica_size() == 1 && work.rows == 1 && work.kv_positions > 0 &&
         s.element_bytes == 2 && std::find(known.begin(), known.end(), s.hidden) != known.end();
}

}  // namespace

double step_seconds(const MachineRates& machine, const GridShape& grid, const RankSizes& s,
                    const StepWork& work, bool gathered) {
  const DeviceTimes& device = machine.device;
  const LinkTimes& links = machine.links;
  int ranks = grid.replica_size();
  auto size = static_cast<double>(s.element_bytes), sampled = static_cast<double>(work.samples);
  // Embedding, then logits and their argmax, of which each rank has its part.
  double ends = links.sum_s(ranks, static_cast<double>(work.rows * s.hidden) * size) +
                links.gather_s(ranks, (ranks - 1) * sampled * 8) +
                2 * sampled * static_cast<double>(s.vocab) * 4 / device.bytes_per_s +
                4 * device.small_op_s;
  if (is_one_kernel(device, grid, s, work)) return one_kernel_seconds(device, s, work) + ends;
  LayerCost layer{device, links, grid, s, work, gathered ? grid.z : 1};
  return static_cast<double>(s.layers) * layer.total() + ends +
         device.product_s(sampled, static_cast<double>(s.head_elements()) * size);
}

int64_t gather_threshold(const MachineRates& machine, const GridShape& grid, const RankSizes& sizes,
                         int64_t max_rows) {
  if (grid.z == 1) return 0;
  auto pays = [&](int64_t rows) {
    StepWork work{.rows = rows, .samples = 1};
    return step_seconds(machine, grid, sizes, work, true) <
           step_seconds(machine, grid, sizes, work, false);
  };
  if (!pays(max_rows)) return 0;
  int64_t low = 0, high = max_rows;  // pays at high
  while (high - low > 1) {
    int64_t middle = (low + high) / 2;
    (pays(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace ll
