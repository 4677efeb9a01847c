#include "parallel/mpi/mpi_environment.h"

#include <mpi.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/home_folder.h"
#include "parallel/mpi/mpi_handle.h"
#include "parallel/mpi/silent_pairs.h"
#include "parallel/mpi/starter.h"

namespace ll {
namespace {

// The headers name the library by macros of its own.
std::string built_library() {
  std::string standard = fmt::format("MPI {}.{}", MPI_VERSION, MPI_SUBVERSION);
#if defined(OMPI_MAJOR_VERSION)
  return fmt::format("Open MPI {}.{}.{}, {}", OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION,
                     OMPI_RELEASE_VERSION, standard);
#elif defined(MPICH_VERSION)
  return fmt::format("MPICH {}, {}", MPICH_VERSION, standard);
#else
  return standard;
#endif
}

// All ranks have just met in MPI_Init.
constexpr auto kPairLimit = std::chrono::seconds(20);

// As Peers::launchers_time().
constexpr auto kLauncherLimit = std::chrono::seconds(6);

// Both ends of a broken pair notice; the lower rank speaks, unless it cannot be heard.
void check_pairs(const MpiGroup& world) {
  std::vector<int> silent = silent_members(world, kPairLimit);
  if (silent.empty()) return;
  if (silent.front() < world.rank()) std::this_thread::sleep_for(std::chrono::seconds(2));
  fmt::print(stderr,
             "litelang-run: rank {} on {}: rank {} was not heard for {} s; the network between "
             "their hosts does not carry what MPI sends (see btl_tcp_if_include in docs/hpc.md)\n",
             world.rank(), MpiEnvironment::host_name(), silent.front(), kPairLimit.count());
  std::fflush(stderr);
  MpiEnvironment::abort(ExitCode::kError);
}

}  // namespace

MpiEnvironment::MpiEnvironment(int* argc, char*** argv) {
  // Open MPI's ranks wait by spinning; those that share cores are to let each other run.
  setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
  // Its hwloc would ask for X servers, which takes seconds a rank where "localhost" has no name.
  setenv("HWLOC_COMPONENTS", "-gl", 0);
  ensure_home();
  int provided = 0;
  mpi_check(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided));
  check(provided >= MPI_THREAD_FUNNELED,
        "this MPI library has no thread support; use one built with MPI_THREAD_FUNNELED");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  world_ = MpiGroup(std::make_shared<MpiGroup::Handle>(MPI_COMM_WORLD, false));
  check_pairs(world_);
  host_ = world_.same_host();
  peers_ = Peers(LocalPeers(host_, world_.rank()));
}

void MpiEnvironment::link_hosts(std::chrono::seconds patience) {
  peers_.add(HostLinks::connect(world_, host_, patience));
}

MpiEnvironment::~MpiEnvironment() {
  peers_ = Peers();
  host_ = world_ = MpiGroup();
  MPI_Finalize();
}

std::string MpiEnvironment::host_name() {
  char name[MPI_MAX_PROCESSOR_NAME] = "";
  int length = 0;
  MPI_Get_processor_name(name, &length);
  return {name, static_cast<size_t>(length)};
}

VersionRow MpiEnvironment::version() {
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(library, &length);
  std::string found(library);  // some count the NUL in the length
  return {"MPI", built_library(), found.substr(0, found.find('\n'))};
}

int MpiEnvironment::launch_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (const char* rank = std::getenv(name)) return std::atoi(rank);
  return 0;
}

void MpiEnvironment::abort(ExitCode code) {
  end_stuck_starter(kLauncherLimit);
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  // Alone there is nobody to end, and the library's own words on it would hide the error's.
  if (size > 1) MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::_Exit(static_cast<int>(code));
}

}  // namespace ll
