#pragma once
#include "base/version_row.h"

namespace ll {

// The version of the library that weight files are read and written with.
VersionRow hdf5_version();

}  // namespace ll
