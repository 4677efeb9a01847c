#include "parallel/mpi/launch_claim.h"

#include <doctest/doctest.h>

#include <map>

using namespace ll;

namespace {

LaunchClaim claim_of(const std::map<std::string, std::string>& environment) {
  return LaunchClaim::read([&](const char* name) -> const char* {
    auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace

TEST_CASE("a launch: one process that nobody counted") {
  LaunchClaim claim = claim_of({});
  CHECK(claim.num_tasks == 1);
  CHECK(claim.num_allocated == 1);
  CHECK(claim_of({{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_NTASKS", "4"}}).num_allocated == 1);
}

TEST_CASE("a launch: tasks of srun") {
  LaunchClaim claim =
      claim_of({{"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "3"}, {"SLURM_PROCID", "2"}});
  CHECK(claim.num_tasks == 3);
  CHECK(claim.index == 2);
  CHECK(claim.advice.find("srun --mpi=pmix -n 3") != std::string::npos);
}

TEST_CASE("a launch: how srun starts MPI") {
  std::map<std::string, std::string> srun = {{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "0"}};
  CHECK(claim_of(srun).has_no_pmi);
  srun.emplace("PMI_FD", "5");
  srun.emplace("PMI_RANK", "0");
  CHECK_FALSE(claim_of(srun).has_no_pmi);
  CHECK(claim_of(srun).has_pmi2_only);
  srun.emplace("PMIX_RANK", "0");
  CHECK_FALSE(claim_of(srun).has_no_pmi);
  CHECK_FALSE(claim_of(srun).has_pmi2_only);
}

TEST_CASE("a launch: another library's mpiexec") {
  LaunchClaim claim = claim_of({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}});
  CHECK(claim.num_tasks == 2);
  CHECK(claim.index == 1);
  CHECK(claim.advice.find("Open MPI's mpirun -np 2") != std::string::npos);
}

TEST_CASE("a launch: alone in an allocation of several tasks") {
  LaunchClaim claim = claim_of({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}});
  CHECK(claim.num_tasks == 1);
  CHECK(claim.num_allocated == 4);
}

TEST_CASE("a launch: mpirun knows what it started") {
  LaunchClaim claim = claim_of(
      {{"OMPI_COMM_WORLD_SIZE", "1"}, {"SLURM_NTASKS", "4"}, {"SLURM_STEP_NUM_TASKS", "4"}});
  CHECK(claim.num_tasks == 1);
  CHECK(claim.num_allocated == 1);
}
