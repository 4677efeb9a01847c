#pragma once
#include "runtime/config/config_rows.h"

namespace ll {

// The keys of a server: the section `server`.
ConfigSection server_rows();

}  // namespace ll
