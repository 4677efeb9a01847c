#pragma once
// The numbers of rows at which products of a weight change their nature. Backends choose kernels by
// them, and those above what to measure.
#include <cstdint>

namespace ll {

// Up to so many rows a product streams the weight past registers that hold all of x: each number of
// rows has a kernel of its own.
constexpr int64_t kStreamedRows = 4;

// Up to so many rows fill one tile of the matrix units, and a product takes as long as its weight
// takes to read; sums of so few rows between ranks are one kernel where links allow it.
constexpr int64_t kFewRows = 64;

}  // namespace ll
