#pragma once
// What this machine can do at best, measured: a speed is printed beside its floor.
namespace ll::perf {

// GB/s of reading memory that no cache holds, with all OpenMP threads.
double read_bandwidth();

// GFLOP/s of large bfloat16 matrix products: the best of the CPU backend and of oneDNN.
double matrix_rate();

}  // namespace ll::perf
