#pragma once
#include <string>
#include <vector>

#include "base/version_row.h"

namespace ll {

// "litelang 0.1.0 (8bc0c9b6a1, RelWithDebInfo, GCC 12.2.0, x86_64)": the same for all programs,
// which are built and installed together.
std::string version_line();

// The commit of the sources, "+" behind it where they were changed; empty where nobody knew.
std::string commit();

// The line, and a table of what the program was built with and what it finds here, in text.
std::string version_report(const std::vector<VersionRow>& rows);

}  // namespace ll
