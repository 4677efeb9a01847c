#include "parallel/mpi/background_gather.h"

#include <mpi.h>

#include <exception>
#include <thread>
#include <vector>

#include "base/check.h"
#include "parallel/mpi/mpi_handle.h"

namespace ll {

struct BackgroundGather::State {
  std::vector<std::byte> mine, all;
  MPI_Request request = MPI_REQUEST_NULL;
};

BackgroundGather::BackgroundGather(const MpiGroup& group) : group_(group.split(0, group.rank())) {}

BackgroundGather::~BackgroundGather() {
  if (!state_) return;
  if (group_.size() == 1) return;
  if (std::uncaught_exceptions() > 0)
    static_cast<void>(state_.release());  // the library may write there yet
  else
    MPI_Wait(&state_->request, MPI_STATUS_IGNORE);
}

void BackgroundGather::begin(std::span<const std::byte> mine) {
  ensure(!state_, "background gather: one is under way");
  auto size = static_cast<size_t>(group_.size());
  state_ = std::make_unique<State>();
  state_->mine.assign(mine.begin(), mine.end());
  state_->all.resize(mine.size() * size);
  if (size == 1) {
    state_->all = state_->mine;
    return;
  }
  auto bytes = static_cast<int>(mine.size());
  mpi_check(MPI_Iallgather(state_->mine.data(), bytes, MPI_BYTE, state_->all.data(), bytes,
                           MPI_BYTE, group_.handle().comm, &state_->request));
}

bool BackgroundGather::is_done() {
  ensure(state_ != nullptr, "background gather: none is under way");
  if (group_.size() == 1) return true;
  int done = 0;
  mpi_check(MPI_Test(&state_->request, &done, MPI_STATUS_IGNORE));
  return done != 0;
}

std::span<const std::byte> BackgroundGather::wait() {
  while (!is_done()) std::this_thread::yield();
  finished_ = std::move(state_);
  return finished_->all;
}

}  // namespace ll
