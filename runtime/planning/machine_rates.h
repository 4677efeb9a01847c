#pragma once
// What a device and the links between devices take for what a step consists of: presets by name, or
// measured (measure_links.cpp, runtime/planning/measure_device.h). Times in seconds, sizes in
// bytes.
#include <optional>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/few_rows.h"
#include "parallel/mpi/mpi_group.h"
#include "runtime/planning/time_table.h"

namespace ll {

// Exchanges among a number of members.
struct ExchangeTimes {
  int members = 2;
  TimeTable sum;         // all-reduce, by bytes of the tensor
  TimeTable two_sums;    // of a tensor and of one number a row, at once; by bytes of the tensor
  TimeTable norm_few;    // with residual and RMSNorm, as the model calls it: up to kFewRows rows
  TimeTable norm_many;   // of more rows
  TimeTable gather;      // all-gather, by bytes a member receives from others
  TimeTable all_to_all;  // by bytes a member sends to others
};

// What NCCL's exchanges take between products: six grids of 2 H200s showed 9 to 15 us (RESULTS.md,
// Grids).
constexpr double kNcclBetweenProducts = 11e-6;

class LinkTimes {
 public:
  std::vector<ExchangeTimes> by_members;
  bool hides_gathers = true;  // gathers of weights can run beside products
  // What an exchange takes between products beyond its time among exchanges, as kernels end and
  // start and ranks wait for each other. Not of sums with norm, which are a kernel among kernels.
  double between_products_s = 0;

  // Nothing among fewer than two.
  double sum_s(int members, double bytes) const;
  double two_sums_s(int members, double bytes) const;
  double sum_and_norm_s(int members, int64_t rows, double bytes) const;
  double gather_s(int members, double bytes) const;
  double all_to_all_s(int members, double bytes) const;

  // For a number of members that is not in the list: from the nearest one. Latency grows by half of
  // its logarithm, which lies between what NCCL's sums (0.7) and those in one kernel (0.2) showed
  // from 2 to 4 H200s; what takes longer grows with the bytes a ring moves.
  ExchangeTimes among(int members) const;
};

// One device.
struct DeviceTimes {
  double bytes_per_s = 0;  // reading memory
  double flops_per_s = 0;  // products of many rows
  // A product in the middle of a step, by bytes of its weight, for some numbers of rows, ascending.
  struct Product {
    double rows = 1;
    TimeTable by_bytes;
  };
  std::vector<Product> products;
  TimeTable attention_read;          // of decode rows, by bytes of their keys and values
  double attention_flops_per_s = 0;  // of prompts
  double small_op_s = 0;             // an op of few rows, besides products and attention
  // A whole decode step of one sequence as one kernel: a layer's time besides what is read; of
  // models of these hidden sizes.
  double one_kernel_layer_s = 0;
  std::vector<int64_t> one_kernel_hidden;

  // Straight lines between the numbers of rows; beyond the last in proportion.
  double product_s(double rows, double weight_bytes) const;
  // The times of each of several ranks that share the device.
  DeviceTimes shared_by(int ranks) const;
};

struct MachineRates {
  std::string name;
  DeviceTimes device;
  LinkTimes links;
  size_t memory_bytes = 0;
  // The data sheet that the times are computed from; "": they were measured, on this kind of
  // machine or, stretched by measured rates, on a near one.
  std::string computed_from;
};

// "h200", "NVIDIA H200", ...; nothing for an unknown name.
std::optional<MachineRates> known_machine(const std::string& name);
std::vector<std::string> known_machines();

// Times of all numbers of members that grids of this group's size have, measured in groups of
// neighbours that all work at the same time. `hidden`: columns of the rows that are summed.
// Collective; the same on all members.
LinkTimes measure_links(const Backend& backend, const MpiGroup& world, DType dtype, int64_t hidden);

// The tables, for a user.
std::string describe(const DeviceTimes& device);
std::string describe(const LinkTimes& links);

}  // namespace ll
