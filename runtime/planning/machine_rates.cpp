#include "runtime/planning/machine_rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace ll {
namespace {

constexpr double kLatencyGrowth = 0.5;  // a doubling of members, beside what two take

double latency_of(int members) { return 1 + kLatencyGrowth * std::log2(members); }
double ring_share(int members) { return static_cast<double>(members - 1) / members; }

std::string row_of(const std::string& name, const TimeTable& table) {
  std::string text = fmt::format("  {:<24}", name);
  for (const TimeTable::Point& p : table.points())
    text += fmt::format("  {:.3g} MB {:.1f} us", p.size / 1e6, 1e6 * p.seconds);
  return text + "\n";
}

}  // namespace

ExchangeTimes LinkTimes::among(int members) const {
  auto nearest = std::min_element(
      by_members.begin(), by_members.end(), [&](const ExchangeTimes& a, const ExchangeTimes& b) {
        return std::abs(a.members - members) < std::abs(b.members - members);
      });
  if (nearest == by_members.end() || nearest->members == members)
    return nearest == by_members.end() ? ExchangeTimes{} : *nearest;
  double start = latency_of(members) / latency_of(nearest->members),
         sums = ring_share(members) / ring_share(nearest->members);
  return {members,
          nearest->sum.stretched(start, sums),
          nearest->two_sums.stretched(start, sums),
          nearest->norm_few.stretched(start, sums),
          nearest->norm_many.stretched(start, sums),
          nearest->gather.stretched(start, 1),
          nearest->all_to_all.stretched(start, 1)};
}

double LinkTimes::sum_s(int members, double bytes) const {
  return members > 1 && bytes > 0 ? between_products_s + among(members).sum.at(bytes) : 0;
}

double LinkTimes::two_sums_s(int members, double bytes) const {
  return members > 1 && bytes > 0 ? between_products_s + among(members).two_sums.at(bytes) : 0;
}

double LinkTimes::sum_and_norm_s(int members, int64_t rows, double bytes) const {
  if (members < 2 || rows == 0) return 0;
  ExchangeTimes times = among(members);
  return (rows <= kFewRows ? times.norm_few : times.norm_many).at(bytes);
}

double LinkTimes::gather_s(int members, double bytes) const {
  return members > 1 && bytes > 0 ? between_products_s + among(members).gather.at(bytes) : 0;
}

double LinkTimes::all_to_all_s(int members, double bytes) const {
  return members > 1 && bytes > 0 ? between_products_s + among(members).all_to_all.at(bytes) : 0;
}

double DeviceTimes::product_s(double rows, double weight_bytes) const {
  auto time = [&](const Product& p) { return p.by_bytes.at(weight_bytes); };
  if (products.empty() || rows <= 0) return 0;
  if (rows <= products.front().rows) return time(products.front());
  auto high = std::find_if(products.begin(), products.end(),
                           [&](const Product& p) { return p.rows >= rows; });
  if (high == products.end()) return time(products.back()) * rows / products.back().rows;
  double below = time(*(high - 1)), above = std::max(below, time(*high));
  return below + (rows - (high - 1)->rows) / (high->rows - (high - 1)->rows) * (above - below);
}

DeviceTimes DeviceTimes::shared_by(int ranks) const {
  DeviceTimes d = *this;
  d.bytes_per_s /= ranks;
  d.flops_per_s /= ranks;
  d.attention_flops_per_s /= ranks;
  d.attention_read = attention_read.stretched(1, ranks);
  for (Product& p : d.products) p.by_bytes = p.by_bytes.stretched(1, ranks);
  return d;
}

std::string describe(const DeviceTimes& d) {
  std::string text = fmt::format(
      "device: reads {:.2f} TB/s, products {:.1f} TFLOP/s, attention {:.1f} TFLOP/s, a small op "
      "{:.1f} us\n",
      d.bytes_per_s / 1e12, d.flops_per_s / 1e12, d.attention_flops_per_s / 1e12,
      1e6 * d.small_op_s);
  for (const DeviceTimes::Product& p : d.products)
    text += row_of(fmt::format("product, {} rows", p.rows), p.by_bytes);
  return text + row_of("attention, decode", d.attention_read);
}

std::string describe(const LinkTimes& links) {
  std::string text;
  for (const ExchangeTimes& e : links.by_members) {
    text += fmt::format("exchanges among {}:\n", e.members);
    text += row_of("all-reduce", e.sum) + row_of("with one number a row", e.two_sums) +
            row_of("with norm, few rows", e.norm_few) +
            row_of("with norm, many rows", e.norm_many) + row_of("all-gather", e.gather) +
            row_of("all-to-all", e.all_to_all);
  }
  return text;
}

}  // namespace ll
