#pragma once
#include <string>
#include <vector>

namespace ll {

// The command that starts `num_ranks` ranks of a program with Open MPI's mpirun of PATH. Throws
// Error when there is no mpirun.
std::vector<std::string> mpirun_command(int num_ranks, const std::vector<std::string>& program);

// As a person would type it into a shell.
std::string shell_quoted(const std::vector<std::string>& command);

}  // namespace ll
