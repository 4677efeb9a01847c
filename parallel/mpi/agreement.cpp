#include "parallel/mpi/agreement.h"

#include <algorithm>

#include "base/check.h"
#include "parallel/mpi/mpi_environment.h"

namespace ll {

void check_agreement(const MpiGroup& world, std::string_view what, const std::string& mine,
                     std::string_view advice) {
  if (world.size() == 1) return;
  std::string first = world.broadcast_text(mine, 0);
  auto differs = world.all_gather(mine != first);
  auto other = std::find(differs.begin(), differs.end(), 1);
  if (other == differs.end()) return;
  auto rank = static_cast<int>(other - differs.begin());
  std::string host = MpiEnvironment::host_name(), first_host = world.broadcast_text(host, 0),
              others_host = world.broadcast_text(host, rank),
              others = world.broadcast_text(mine, rank);
  fail_usage("rank {} on {} has {} {}, rank 0 on {} has {}; {}", rank, others_host, what, others,
             first_host, first, advice);
}

}  // namespace ll
