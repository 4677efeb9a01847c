#pragma once
#include <string>
#include <vector>

namespace ll {

// litelang batch OPTIONS: litelang-run under mpirun, on as many ranks as its grid has. Returns the
// exit code of the run; throws Error.
int batch_command(const std::vector<std::string>& arguments);

}  // namespace ll
