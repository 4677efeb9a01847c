#pragma once
#include "runtime/config/config_rows.h"

namespace ll {

// The keys of the model, its ranks and its steps: all but those of jobs.
ConfigSection engine_rows();

}  // namespace ll
