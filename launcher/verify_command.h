#pragma once
#include <string>
#include <vector>

namespace ll {

// litelang verify MODEL.h5: reads a weight file and compares it with its checksums.
int verify_command(const std::vector<std::string>& arguments);

}  // namespace ll
