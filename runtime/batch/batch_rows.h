#pragma once
#include "runtime/config/config_rows.h"

namespace ll {

// The keys of a batch: the section `job`, but for its type.
ConfigSection batch_rows();

}  // namespace ll
