#pragma once
// What the launcher says it started, to be held against what MPI sees: tasks that were started
// without MPI's help are ranks of worlds of their own, and each would do the whole job.
#include <functional>
#include <string>

namespace ll {

struct LaunchClaim {
  int num_tasks = 1;   // that were started together, this one among them
  int index = 0;       // of this one
  std::string advice;  // what to type instead, if MPI sees one rank only
  // MPI would not even start: srun gave no PMI, or one that this library may not know.
  bool has_no_pmi = false, has_pmi2_only = false;
  int num_allocated = 1;  // tasks that the allocation is for, where this one was started alone

  using Variable = std::function<const char*(const char* name)>;
  // From the environment, before MPI is initialized, which may change it. What mpirun started is
  // as it says.
  static LaunchClaim read(const Variable& variable);
};

}  // namespace ll
