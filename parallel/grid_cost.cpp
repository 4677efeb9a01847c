#include "parallel/grid_cost.h"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace ll {
namespace {

constexpr double kAttentionShare = 0.6;  // of the matrix rate, by attention over prompts

// Rates of a device as measured by programs made for it, times what the ops reach of them: reads of
// weights 0.8, products 0.8. NVLink: sums in one kernel measured on 2 and 4 H200s (2.8 to 5.8 us
// and 3.2 to 12 us for 3 to 460 KB), NCCL's from 6.4 us on 2 and 9 us on 4. PCIe devices have no
// kernel of their own to sum with.
const std::vector<MachineRates>& machines() {
  constexpr LinkRates kNvlink{3.8e-6, 2.6e-6, 370e9, 2.4e-6, 0.4e-6, 150e9};
  constexpr LinkRates kNvlinkA100{3.8e-6, 2.6e-6, 230e9, 2.8e-6, 0.6e-6, 90e9};
  constexpr LinkRates kPcie{8e-6, 6e-6, 20e9, 0, 0, 0};
  constexpr LinkRates kHostMemory{5e-6, 5e-6, 2e9, 0, 0, 0};
  static const std::vector<MachineRates> list{
      {"h200", 0.8 * 4.37e12, 0.8 * 792e12, 0.9e-6, size_t{141'000'000'000}, kNvlink},
      {"h100", 0.8 * 3.0e12, 0.8 * 750e12, 0.9e-6, size_t{80'000'000'000}, kNvlink},
      {"a100", 0.8 * 1.8e12, 0.8 * 270e12, 1.2e-6, size_t{80'000'000'000}, kNvlinkA100},
      {"l40s", 0.8 * 0.8e12, 0.8 * 280e12, 1.2e-6, size_t{46'000'000'000}, kPcie},
      {"cpu", 0.75 * 34e9, 0.6 * 440e9, 2e-6, size_t{32'000'000'000}, kHostMemory}};
  return list;
}

double log_of(int members) { return std::log2(static_cast<double>(members)); }

// One layer of one rank, in seconds; `rows` are those the rank computes itself.
struct LayerCost {
  const MachineRates& machine;
  const GridShape& grid;
  const RankSizes& s;
  const StepLoad& load;
  int columns;  // whose weights the rank multiplies with: 1, or z

  double rows() const { return std::ceil(static_cast<double>(load.rows) / columns); }
  double size() const { return static_cast<double>(s.element_bytes); }
  double qkv_columns() const { return s.merged_share_heads ? 1 : columns; }

  // Weights this rank has of a layer, in elements.
  double own_qkv() const { return static_cast<double>(s.hidden_part * s.qkv); }
  double own_rest() const { return static_cast<double>(s.hidden_part * (s.slice + 3 * s.ffn)); }

  double products() const {
    double weights = qkv_columns() * own_qkv() + columns * own_rest();
    return std::max(weights * size() / machine.bytes_per_s,
                    2 * weights * rows() / machine.flops_per_s);
  }
  double attention() const {
    double parts = grid.kv_parts(), dim = static_cast<double>(s.head_dim);
    double bytes = static_cast<double>(load.positions_read * s.kv_heads) * 2 * dim * size() / parts;
    double flops = 4 * static_cast<double>(load.prompt_pairs * s.heads) * dim / parts;
    return bytes / machine.bytes_per_s + flops / (kAttentionShare * machine.flops_per_s);
  }
  double x_sums() const {
    double width = qkv_columns() * static_cast<double>(s.qkv);
    const LinkRates& l = machine.links;
    return l.all_reduce_s(grid.x, rows() * width * size()) +
           l.all_reduce_s(grid.x, rows() * columns * static_cast<double>(2 * s.ffn) * size());
  }
  double y_sums() const {
    return 2 * machine.links.all_reduce_s(grid.columns() / columns,
                                          rows() * static_cast<double>(s.hidden_part) * size());
  }
  double kv_exchange() const {
    double row = static_cast<double>(s.slice) * size() + static_cast<double>(s.heads) * 4;
    return machine.links.exchange_s(grid.kv_parts(),
                                    (grid.kv_parts() - 1) * static_cast<double>(load.rows) * row);
  }
  double z_exchange() const {
    if (columns == 1) return 0;
    const LinkRates& l = machine.links;
    double gather = l.exchange_s(
        columns, (columns - 1) * size() * (own_rest() + (s.merged_share_heads ? 0 : own_qkv())));
    double tokens = (columns - 1) * rows() * size();
    // The next layer's weights come while this one's products run.
    return std::max(0.0, gather - products()) +
           l.exchange_s(columns, tokens * static_cast<double>(s.qkv)) +
           l.exchange_s(columns, tokens * static_cast<double>(s.slice));
  }
  double launches() const {
    int ops = 7 + (grid.x > 1 ? 2 : 0) + (grid.kv_parts() > 1 ? 2 : 0) + 5 * (columns - 1);
    return ops * machine.launch_s;
  }
  double total() const {
    return products() + attention() + x_sums() + y_sums() + kv_exchange() + z_exchange() +
           launches();
  }
};

}  // namespace

double LinkRates::all_reduce_s(int members, double bytes) const {
  if (members <= 1 || bytes <= 0) return 0;
  double others = members - 1;
  double ring =
      start_s + start_log_s * log_of(members) + 2 * others / members * bytes / bytes_per_s;
  if (one_shot_bytes_per_s <= 0) return ring;
  return std::min(
      ring, one_shot_s + one_shot_log_s * log_of(members) + others * bytes / one_shot_bytes_per_s);
}

double LinkRates::exchange_s(int members, double bytes) const {
  if (members <= 1 || bytes <= 0) return 0;
  return start_s + start_log_s * log_of(members) + bytes / bytes_per_s;
}

std::optional<MachineRates> known_machine(const std::string& name) {
  std::string lower = name;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const MachineRates& m : machines())
    if (lower == m.name || lower.find(" " + m.name) != std::string::npos) return m;
  return std::nullopt;
}

std::vector<std::string> known_machines() {
  std::vector<std::string> names;
  for (const MachineRates& m : machines()) names.push_back(m.name);
  return names;
}

double step_seconds(const MachineRates& machine, const GridShape& grid, const RankSizes& s,
                    const StepLoad& load, bool gathered) {
  LayerCost layer{machine, grid, s, load, gathered ? grid.z : 1};
  auto size = static_cast<double>(s.element_bytes), hidden = static_cast<double>(s.hidden);
  double head = static_cast<double>(s.vocab) * hidden;
  double logits = std::max(head * size / machine.bytes_per_s,
                           2 * head * static_cast<double>(load.sampled) / machine.flops_per_s);
  double embedding = machine.links.all_reduce_s(grid.replica_size(),
                                                static_cast<double>(load.rows) * hidden * size);
  double sampling =
      machine.links.exchange_s(grid.replica_size(), static_cast<double>(load.sampled) * 8);
  return static_cast<double>(s.layers) * layer.total() + logits + embedding + sampling;
}

int64_t gather_threshold(const MachineRates& machine, const GridShape& grid, const RankSizes& sizes,
                         int64_t max_rows) {
  if (grid.z == 1) return 0;
  auto pays = [&](int64_t rows) {
    StepLoad load{rows, 0, 0, 1};
    return step_seconds(machine, grid, sizes, load, true) <
           step_seconds(machine, grid, sizes, load, false);
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
