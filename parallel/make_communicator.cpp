#include "parallel/make_communicator.h"

#include "parallel/mpi/mpi_communicator.h"
#include "parallel/mpi/mpi_environment.h"
#include "parallel/nccl/nccl_communicator.h"

namespace ll {

std::unique_ptr<Communicator> make_communicator(const Backend& backend, const MpiGroup& group) {
  if (group.size() == 1) return make_self_communicator(backend);
  return backend.kind == BackendKind::kCpu ? make_mpi_communicator(backend, group)
                                           : make_nccl_communicator(backend, group);
}

std::vector<VersionRow> communicator_versions() {
  return {MpiEnvironment::version(), nccl_version()};
}

}  // namespace ll
