#include "runtime/rank/try_communicators.h"

#include <fmt/ranges.h>

#include <chrono>
#include <numeric>
#include <thread>

#include "base/check.h"
#include "kernels/tensor.h"
#include "runtime/process/injected_fault.h"

namespace ll {

void try_communicators(const ProcessGrid& grid, const Backend& backend, Stream stream,
                       const std::function<void(std::string phase)>& begin) {
  for (const auto& [name, comm, ranks] : grid.communicators()) {
    std::string who = fmt::format("the {} communicator of ranks {}", name, fmt::join(ranks, ", "));
    begin("while trying " + who);
    if (is_fault_due("communicator", 0)) std::this_thread::sleep_for(std::chrono::hours(1));
    auto mine = static_cast<float>(ranks[static_cast<size_t>(comm->rank())]), sum = 0.F,
         wanted = static_cast<float>(std::accumulate(ranks.begin(), ranks.end(), int64_t{0}));
    Tensor number(backend.device, DType::f32, {1});
    backend.device.copy(stream, number.view().data, &mine, sizeof mine);
    comm->all_reduce_sum(stream, number.view());
    backend.device.copy(stream, &sum, number.view().data, sizeof sum);
    backend.device.synchronize(stream);
    check(sum == wanted, "{}: the sum of their numbers is {} instead of {}; see docs/hpc.md", who,
          sum, wanted);
  }
}

}  // namespace ll
