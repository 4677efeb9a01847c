#include "runtime/process/cpu_threads.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace ll {
namespace {

int num_allowed() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

int share_of_processors(int local_ranks) {
  auto online = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  int share = std::max(1, online / local_ranks);
  if (num_allowed() < share) {
    cpu_set_t all;
    CPU_ZERO(&all);
    for (int i = 0; i < std::min(online, CPU_SETSIZE); ++i) CPU_SET(i, &all);
    sched_setaffinity(0, sizeof all, &all);  // a container's own limits still hold
  }
  return std::min(share, num_allowed());
}

}  // namespace ll
