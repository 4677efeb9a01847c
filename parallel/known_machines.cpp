// Machines by name, for plans without ranks. The H200's times are those of perf/RESULTS.md and of
// the cuBLAS products behind its floors; the other devices have its times, stretched by their
// memory and matrix rates.
#include <algorithm>
#include <cctype>

#include "parallel/machine_rates.h"

namespace ll {
namespace {

constexpr double kH200Read = 4.37e12, kH200Matrix = 792e12;
constexpr double kUsual = 0.85;  // of the matrix rate, by products of many rows

struct Rates {
  double bytes_per_s, flops_per_s;
  double small_op_s;
};

// Products of a row: cuBLAS at weights of Qwen2.5-1.5B and 7B; of 64 rows about the same.
DeviceTimes gpu(const Rates& r) {
  const TimeTable one_row({{6.3e6, 5.5e-6},
                           {27.5e6, 11.9e-6},
                           {55e6, 18e-6},
                           {136e6, 40.6e-6},
                           {271.6e6, 73e-6},
                           {1090e6, 268e-6}});
  DeviceTimes d{.bytes_per_s = r.bytes_per_s, .flops_per_s = r.flops_per_s};
  TimeTable few = one_row.stretched(1, kH200Read / r.bytes_per_s);
  // A product of bfloat16 has as many operations a row as its weight has bytes.
  TimeTable many = TimeTable::line(10e-6, kUsual * r.flops_per_s / 8192);
  std::vector<TimeTable::Point> some;
  for (const TimeTable::Point& p : few.points())
    some.push_back({p.size, std::max(p.seconds, 512 * p.size / (0.7 * r.flops_per_s))});
  d.products = {{1, few}, {64, few}, {512, some}, {8192, many}};
  d.attention_read = TimeTable::line(7e-6, 0.92 * r.bytes_per_s);
  d.attention_flops_per_s = 0.6 * r.flops_per_s;
  d.small_op_s = r.small_op_s;
  return d;
}

// Two GPUs with NVLink 4: RESULTS.md, Collectives. All-to-all was not measured; its sends and
// receives are those of a gather.
ExchangeTimes two_on_nvlink() {
  TimeTable gather({{65536, 6.3e-6}, {67.9e6, 300e-6}, {268e6, 1100e-6}});
  TimeTable sum({{3072, 6.5e-6},
                 {196608, 7.5e-6},
                 {458752, 9.8e-6},
                 {1835008, 26.4e-6},
                 {6291456, 37.8e-6},
                 {14680064, 67.6e-6}});
  return {2,
          sum,
          sum.stretched(1.4, 1),
          {{{3072, 3.0e-6},
            {7168, 3.4e-6},
            {122880, 3.8e-6},
            {196608, 4.3e-6},
            {286720, 5.3e-6},
            {458752, 6.4e-6}}},
          {{{3072, 7.9e-6},
            {196608, 8.9e-6},
            {458752, 11.6e-6},
            {1835008, 28.6e-6},
            {6291456, 43.9e-6},
            {14680064, 84.8e-6}}},
          gather,
          gather};
}

LinkTimes stretched(double start, double rest) {
  ExchangeTimes e = two_on_nvlink();
  for (TimeTable* t : {&e.sum, &e.two_sums, &e.norm_few, &e.norm_many, &e.gather, &e.all_to_all})
    *t = t->stretched(start, rest);
  return {.by_members = {e}, .between_products_s = kNcclBetweenProducts};
}

// No kernel of its own to sum with.
LinkTimes plain(double start_s, double bytes_per_s) {
  TimeTable t = TimeTable::line(start_s, bytes_per_s);
  return {{{2, t, t, t, t, t, t}}};
}

// RESULTS.md, CPU: what products and attention reach there.
DeviceTimes two_cores() {
  constexpr double kRead = 0.8 * 34e9, kMatrix = 0.5 * 2478e9;
  DeviceTimes d{.bytes_per_s = kRead, .flops_per_s = kMatrix};
  d.products = {{1, TimeTable::line(2e-6, kRead)},
                {64, TimeTable::line(2e-6, std::min(kRead, kMatrix / 64))},
                {512, TimeTable::line(2e-6, kMatrix / 512)}};
  d.attention_read = TimeTable::line(5e-6, kRead);
  d.attention_flops_per_s = 0.1 * kMatrix;
  d.small_op_s = 2e-6;
  return d;
}

std::vector<MachineRates> machines() {
  auto gigabytes = [](double n) { return static_cast<size_t>(n * 1e9); };
  std::vector<MachineRates> list{
      {"h200", gpu({kH200Read, kH200Matrix, 2.0e-6}), stretched(1, 1), gigabytes(141)},
      {"h100", gpu({3.0e12, 750e12, 2.0e-6}), stretched(1, 1), gigabytes(80)},
      {"a100", gpu({1.8e12, 270e12, 2.5e-6}), stretched(1.2, 1.6), gigabytes(80)},
      {"l40s", gpu({0.8e12, 280e12, 2.5e-6}), plain(14e-6, 20e9), gigabytes(46)},
      {"cpu", two_cores(), plain(10e-6, 2e9), gigabytes(32)}};
  list.back().links.hides_gathers = false;
  // RESULTS.md, a decode step as one kernel: 11 to 15 us a layer beside the reads.
  for (MachineRates& m : list)
    if (m.name == "h200" || m.name == "h100") {
      m.device.one_kernel_layer_s = 13e-6;
      m.device.one_kernel_hidden = {896, 1536, 2048, 3584};
    }
  return list;
}

}  // namespace

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

}  // namespace ll
