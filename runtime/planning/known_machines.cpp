// Machines by name, for plans without ranks. The H200's times are those of perf/RESULTS.md, with
// Hopper's kernels and with the portable ones; an H100 has the former, GPUs of other families the
// latter, stretched by their memory and matrix rates.
#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "runtime/planning/data_sheets.h"
#include "runtime/planning/machine_rates.h"

namespace ll {
namespace {

constexpr double kH200Read = 4.37e12, kH200Matrix = 792e12;
constexpr double kPromptAttention = 0.5;  // of the matrix rate: between 0.4 of 1k and 0.8 of 8k

struct Rates {
  double bytes_per_s, flops_per_s;
};

// What `bench grids` measured on an H200.
struct Measured {
  std::vector<DeviceTimes::Product> products;
  TimeTable attention_read;
  double small_op_s;
};
const Measured& with_hopper_kernels() {
  static const Measured measured{
      {{1,
        {{{1.57e6, 1.7e-6}, {7.86e6, 3.7e-6}, {32e6, 10.1e-6}, {128e6, 35e-6}, {512e6, 127e-6}}}},
       {16,
        {{{1.57e6, 3.9e-6}, {7.86e6, 4.5e-6}, {32e6, 11.8e-6}, {128e6, 36.6e-6}, {512e6, 129e-6}}}},
       {double{kFewRows},
        {{{1.57e6, 4.7e-6}, {7.86e6, 5.4e-6}, {32e6, 11e-6}, {128e6, 37.7e-6}, {512e6, 136e-6}}}},
       {512,
        {{{1.57e6, 5.8e-6}, {7.86e6, 8.9e-6}, {32e6, 25.4e-6}, {128e6, 93e-6}, {512e6, 345e-6}}}},
       {8192, {{{1.57e6, 21e-6}, {7.86e6, 86e-6}, {32e6, 326e-6}, {128e6, 1463e-6}}}}},
      TimeTable({{1.05e6, 6.9e-6}, {67.1e6, 22.4e-6}, {134e6, 39.1e-6}}),
      1.5e-6};
  return measured;
}
const Measured& with_portable_kernels() {
  static const Measured measured{
      {{1,
        {{{1.57e6, 3.2e-6}, {7.86e6, 4.4e-6}, {32e6, 9.9e-6}, {128e6, 32.5e-6}, {512e6, 116e-6}}}},
       {16,
        {{{1.57e6, 5.6e-6}, {7.86e6, 5.8e-6}, {32e6, 10.2e-6}, {128e6, 35.3e-6}, {512e6, 127e-6}}}},
       {double{kFewRows},
        {{{1.57e6, 5.6e-6}, {7.86e6, 5.9e-6}, {32e6, 10.6e-6}, {128e6, 36.7e-6}, {512e6, 135e-6}}}},
       {512,
        {{{1.57e6, 5.6e-6}, {7.86e6, 8.7e-6}, {32e6, 25.1e-6}, {128e6, 92.1e-6}, {512e6, 346e-6}}}},
       {8192, {{{1.57e6, 19.5e-6}, {7.86e6, 86.2e-6}, {32e6, 327e-6}, {128e6, 1573e-6}}}}},
      TimeTable({{2.1e6, 7.8e-6}, {134e6, 43.7e-6}}),
      1.7e-6};
  return measured;
}

// Stretched: of few rows by the memory's rate, of many by the matrix units'.
DeviceTimes gpu(const Rates& r, const Measured& measured) {
  DeviceTimes d{.bytes_per_s = r.bytes_per_s, .flops_per_s = r.flops_per_s};
  double memory = kH200Read / r.bytes_per_s, matrix = kH200Matrix / r.flops_per_s;
  for (const auto& p : measured.products)
    d.products.push_back(
        {p.rows,
         p.by_bytes.stretched(1, p.rows <= double{kFewRows} ? memory : std::max(memory, matrix))});
  d.attention_read = measured.attention_read.stretched(1, memory);
  d.attention_flops_per_s = kPromptAttention * r.flops_per_s;
  d.small_op_s = measured.small_op_s;
  return d;
}

// Two H200s with NVLink 4: RESULTS.md, Collectives.
ExchangeTimes two_on_nvlink() {
  return {2,
          {{{7168, 7.3e-6}, {57344, 7.4e-6}, {0.25e6, 8.9e-6}, {1e6, 13.9e-6}, {16e6, 70.8e-6}}},
          {{{7168, 9.7e-6}, {57344, 9.7e-6}, {0.25e6, 12.4e-6}, {1e6, 14e-6}, {16e6, 71.6e-6}}},
          {{{3072, 3.0e-6},
            {7168, 3.9e-6},
            {114688, 4.3e-6},
            {196608, 4.4e-6},
            {286720, 5.3e-6},
            {458752, 6.4e-6}}},
          {{{3072, 7.9e-6},
            {196608, 8.9e-6},
            {458752, 11.6e-6},
            {917504, 14.8e-6},
            {3670016, 34.0e-6},
            {6291456, 43.9e-6},
            {14680064, 84.8e-6},
            {29360128, 147.6e-6}}},
          {{{7168, 6.1e-6},
            {57344, 6.6e-6},
            {0.25e6, 7.2e-6},
            {1e6, 10.7e-6},
            {16e6, 51.5e-6},
            {67.9e6, 300e-6},
            {268e6, 1100e-6}}},
          {{{7168, 7.2e-6}, {57344, 8.0e-6}, {0.25e6, 8.3e-6}, {1e6, 12.8e-6}, {16e6, 46.5e-6}}}};
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

size_t gigabytes(double n) { return static_cast<size_t>(n * 1e9); }

MachineRates computed(const DataSheet& sheet) {
  return {
      .name = sheet.name,
      .device = gpu({expected_read(sheet), expected_matrix_rate(sheet)}, with_portable_kernels()),
      .links = sheet.has_nvlink ? stretched(1.2, 1.6) : plain(14e-6, 20e9),
      .memory_bytes = gigabytes(sheet.gigabytes),
      .computed_from = fmt::format("{:.2f} TB/s, {:.0f} TFLOP/s, {} SMs with {} KB each",
                                   sheet.bytes_per_s / 1e12, sheet.flops_per_s / 1e12,
                                   sheet.num_sms, sheet.shared_bytes >> 10)};
}

std::vector<MachineRates> machines() {
  std::vector<MachineRates> list{
      {"h200", gpu({kH200Read, kH200Matrix}, with_hopper_kernels()), stretched(1, 1),
       gigabytes(141)},
      {"h100", gpu({3.0e12, 750e12}, with_hopper_kernels()), stretched(1, 1), gigabytes(80)}};
  for (const DataSheet& sheet : data_sheets()) list.push_back(computed(sheet));
  list.push_back({"cpu", two_cores(), plain(10e-6, 2e9), gigabytes(32)});
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
  std::string lower = ascii_lower(name);
  auto has = [&](const char* word) { return lower.find(word) != std::string::npos; };
  for (const DataSheet& sheet : data_sheets())
    if (has(sheet.word) && has(sheet.other_word)) return computed(sheet);
  for (const MachineRates& m : machines())
    if (lower == m.name || has((" " + m.name).c_str())) return m;
  return std::nullopt;
}

std::vector<std::string> known_machines() {
  std::vector<std::string> names;
  for (const MachineRates& m : machines()) names.push_back(m.name);
  return names;
}

}  // namespace ll
