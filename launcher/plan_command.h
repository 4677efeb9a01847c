#pragma once
#include <string>
#include <vector>

namespace ll {

// litelang plan OPTIONS: which grid to run a model on, without a device or ranks. Returns the exit
// code.
int plan_command(const std::vector<std::string>& arguments);

}  // namespace ll
