#include "parallel/mpi/pmi_support.h"

#include <dlfcn.h>
#include <mpi.h>

#include <filesystem>
#include <string>

namespace ll {

#ifdef OPEN_MPI
namespace {

namespace fs = std::filesystem;

// The components of Open MPI 4, which has one for each way of being started.
bool has_component(const std::string& name, bool otherwise) {
  Dl_info library = {};
  std::error_code error;
  if (dladdr(reinterpret_cast<void*>(&MPI_Init), &library) == 0) return otherwise;
  fs::path folder = fs::canonical(library.dli_fname, error).parent_path();
  // As it installs itself, and as Debian has it.
  for (const char* place : {"openmpi", "openmpi/lib/openmpi3"}) {
    bool has_any = false;
    for (const auto& entry : fs::directory_iterator(folder / place, error)) {
      std::string file = entry.path().filename();
      if (file == name) return true;
      has_any |= file.starts_with("mca_pmix_");
    }
    if (has_any) return false;
  }
  return otherwise;
}

}  // namespace

bool may_know_pmi2() {
  return OMPI_MAJOR_VERSION < 5 && has_component("mca_pmix_s2.so", /*otherwise=*/true);
}
#else
bool may_know_pmi2() { return true; }
#endif

}  // namespace ll
