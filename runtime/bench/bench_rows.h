#pragma once
#include "runtime/config/config_rows.h"

namespace ll {

// The keys of benchmarks: the section `bench`, and what they make of the scheduler's defaults.
ConfigSection bench_rows();

}  // namespace ll
