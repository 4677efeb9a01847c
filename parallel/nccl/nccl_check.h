#pragma once
// NCCL's error codes as exceptions; only for parallel/nccl_*.
#include <nccl.h>

#include <source_location>

namespace ll {

void nccl_check(ncclResult_t result, std::source_location where = std::source_location::current());

}  // namespace ll
