#pragma once
#include <string>
#include <vector>

namespace ll {

// litelang bench KIND OPTIONS: a benchmark of litelang-run under mpirun, with the option names of
// vLLM's and SGLang's. Returns the exit code of the run; throws Error.
int bench_command(const std::vector<std::string>& arguments);

}  // namespace ll
