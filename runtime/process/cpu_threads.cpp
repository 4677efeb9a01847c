#include "runtime/process/cpu_threads.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <string>

#include "base/numbers.h"
#include "parallel/mpi/starter.h"
#include "runtime/process/cpu_quota.h"

namespace ll {
namespace {

constexpr int kWordBits = 64, kNumWords = CPU_SETSIZE / kWordBits;

bool has_variable(const char* name) { return std::getenv(name) != nullptr; }

// Whether the user told mpirun how to bind, in words of Open MPI 4 and 5.
bool has_chosen_binding() {
  for (const char* name :
       {"OMPI_MCA_hwloc_base_binding_policy", "OMPI_MCA_hwloc_base_cpu_set",
        "OMPI_MCA_hwloc_base_cpu_list", "OMPI_MCA_rmaps_base_cpus_per_rank",
        "OMPI_MCA_rmaps_rank_file_path", "PRTE_MCA_hwloc_default_binding_policy"})
    if (has_variable(name)) return true;
  const char* mapping = std::getenv("OMPI_MCA_rmaps_base_mapping_policy");
  std::string text = mapping ? mapping : "";
  return text.find("pe=") != text.npos || text.find("PE=") != text.npos;
}

// By itself mpirun gives each rank one processor, even one that its caller kept it from.
void undo_default_binding() {
  if (!is_started_by_mpirun() || has_chosen_binding()) return;
  cpu_set_t set;
  if (sched_getaffinity(getppid(), sizeof set, &set) == 0) sched_setaffinity(0, sizeof set, &set);
}

// The rank's part of the processors it may use: of each, one share of those that use it.
double part_of_processors(const MpiGroup& host) {
  cpu_set_t own;
  CPU_ZERO(&own);
  if (sched_getaffinity(0, sizeof own, &own) != 0) return 1;
  double part = 0;
  for (int word = 0; word < kNumWords; ++word) {
    auto is_set = [](int64_t bits, int i) { return (static_cast<uint64_t>(bits) >> i & 1) != 0; };
    uint64_t bits = 0;
    for (int i = 0; i < kWordBits; ++i)
      bits |= uint64_t{CPU_ISSET(word * kWordBits + i, &own) != 0} << i;
    auto all = host.all_gather(static_cast<int64_t>(bits));
    for (int i = 0; i < kWordBits; ++i) {
      auto users = std::count_if(all.begin(), all.end(), [&](int64_t b) { return is_set(b, i); });
      if (is_set(static_cast<int64_t>(bits), i)) part += 1.0 / static_cast<double>(users);
    }
  }
  return part;
}

}  // namespace

int threads_of_rank(const MpiGroup& host, int wanted) {
  undo_default_binding();
  if (wanted > 0) return wanted;
  double threads = part_of_processors(host);
  if (auto quota = cpu_quota()) threads = std::min(threads, *quota / host.size());
  for (const char* name : {"SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"}) {
    const char* text = std::getenv(name);
    int64_t limit = text ? std::strtoll(text, nullptr, 10) : 0;
    if (limit > 0) threads = std::min(threads, static_cast<double>(limit));
  }
  constexpr double kRounding = 1e-6;  // three thirds are one
  return std::max(1, static_cast<int>(threads + kRounding));
}

}  // namespace ll
