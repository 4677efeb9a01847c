#pragma once
// GPUs that litelang has not been measured on: what their makers say of them, from which their
// times are computed.
#include <cstddef>
#include <span>
#include <string>

namespace ll {

struct DataSheet {
  const char* name;  // for users
  // What their names have in common, in lower case; "" is in all.
  const char *word, *other_word;
  double bytes_per_s, flops_per_s;  // of the memory; of bfloat16 products, summed in float32
  int num_sms;
  size_t shared_bytes;  // of a multiprocessor
  double gigabytes;
  bool has_nvlink;
};

// In the order in which their words are to be tried.
std::span<const DataSheet> data_sheets();

// Bytes per second that are expected of it: a share of what the sheet says, the same as of an H200,
// or what its multiprocessors can have on the way at a time [Little 1961], if that is less.
double expected_read(const DataSheet& gpu);
double expected_matrix_rate(const DataSheet& gpu);  // of an H200 again, operations a second

}  // namespace ll
