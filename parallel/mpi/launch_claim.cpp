#include "parallel/mpi/launch_claim.h"

#include <fmt/core.h>

#include <array>
#include <cstdlib>

namespace ll {
namespace {

// How a launcher tells its tasks how many they are.
struct Launcher {
  const char* size;
  const char* rank;
  const char* advice;
};
constexpr std::array kLaunchers = {
    Launcher{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID",
             "srun started {0} tasks without a PMI that this MPI knows, so that each is alone: "
             "type srun --mpi=pmix -n "
             "{0} ... (srun --mpi=list shows what your Slurm has), or mpirun -np {0} ..."},
    Launcher{
        "PMI_SIZE", "PMI_RANK",
        "{0} tasks were started by the mpiexec of another MPI library than litelang's, so that "
        "each is alone: type Open MPI's mpirun -np {0} ..."},
};

int number(const LaunchClaim::Variable& variable, const char* name, int otherwise) {
  const char* text = variable(name);
  return text ? std::atoi(text) : otherwise;
}

}  // namespace

LaunchClaim LaunchClaim::read(const Variable& variable) {
  LaunchClaim claim;
  if (variable("OMPI_COMM_WORLD_SIZE")) return claim;
  bool is_of_srun = variable("SLURM_STEP_NUM_TASKS") && !variable("PMIX_RANK");
  claim.has_pmi2_only = is_of_srun && variable("PMI_FD");
  claim.has_no_pmi = is_of_srun && !variable("PMI_FD") && !variable("PMI_RANK");
  for (const Launcher& l : kLaunchers) {
    claim.num_tasks = number(variable, l.size, 1);
    if (claim.num_tasks <= 1) continue;
    claim.index = number(variable, l.rank, 0);
    claim.advice = fmt::format(fmt::runtime(l.advice), claim.num_tasks);
    return claim;
  }
  claim.num_tasks = 1;
  bool is_in_step = variable("SLURM_STEP_NUM_TASKS") != nullptr;
  if (!is_in_step) claim.num_allocated = number(variable, "SLURM_NTASKS", 1);
  return claim;
}

}  // namespace ll
