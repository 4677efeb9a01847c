#pragma once
#include <vector>

#include "base/version_row.h"

namespace ll {

// The versions of both backends and their libraries, and the CPU and GPUs that are here. Opens no
// device.
std::vector<VersionRow> backend_versions();

}  // namespace ll
