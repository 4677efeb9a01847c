#include "runtime/process/injected_fault.h"

#include <cstdlib>
#include <sstream>
#include <string>

#include "parallel/mpi/mpi_environment.h"

namespace ll {
namespace {

struct Fault {
  std::string kind;
  int rank = -1, step = 0;
};

Fault read_fault() {
  const char* text = std::getenv("LITELANG_FAULT");
  if (!text) return {};
  std::istringstream in(text);
  Fault fault;
  char colon = 0;
  std::getline(in, fault.kind, ':');
  in >> fault.rank >> colon >> fault.step;
  return in ? fault : Fault{};
}

}  // namespace

bool is_fault_due(std::string_view kind, int32_t step) {
  static Fault fault = read_fault();
  if (fault.rank != MpiEnvironment::launch_rank()) return false;
  if (fault.kind != kind || step < fault.step) return false;
  fault.rank = -1;
  return true;
}

}  // namespace ll
