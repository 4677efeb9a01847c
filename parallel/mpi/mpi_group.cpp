#include "parallel/mpi/mpi_group.h"

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/check.h"
#include "parallel/mpi/mpi_handle.h"

namespace ll {
namespace {

constexpr auto kSpin =
    std::chrono::microseconds(200);  // longer than a step of a busy engine takes to be planned
constexpr auto kShortestSleep = std::chrono::microseconds(20),
               kLongestSleep = std::chrono::microseconds(1000);

// MPI's own waits poll without end; an idle server should not heat the node.
void wait(MPI_Request request) {
  using Clock = std::chrono::steady_clock;
  auto start = Clock::now();
  auto sleep = kShortestSleep;
  for (int done = 0;;) {
    mpi_check(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done) return;
    if (Clock::now() - start < kSpin) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(sleep);
      sleep = std::min(sleep * 2, kLongestSleep);
    }
  }
}

}  // namespace

void mpi_check(int code, std::source_location where) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail("MPI: {} ({}:{})", text, where.file_name(), where.line());
}

MpiGroup::Handle::~Handle() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (owned && !finalized) MPI_Comm_free(&comm);
}

MpiGroup::MpiGroup() = default;

MpiGroup::MpiGroup(std::shared_ptr<const Handle> handle) : handle_(std::move(handle)) {
  mpi_check(MPI_Comm_rank(handle_->comm, &rank_));
  mpi_check(MPI_Comm_size(handle_->comm, &size_));
}

MpiGroup MpiGroup::split(int color, int key) const {
  if (!handle_) return {};
  MPI_Comm part;
  mpi_check(MPI_Comm_split(handle_->comm, color, key, &part));
  return MpiGroup(std::make_shared<Handle>(part, true));
}

MpiGroup MpiGroup::same_host() const {
  if (!handle_) return {};
  MPI_Comm part;
  mpi_check(MPI_Comm_split_type(handle_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part));
  return MpiGroup(std::make_shared<Handle>(part, true));
}

void MpiGroup::broadcast(void* data, size_t bytes, int root) const {
  if (size_ == 1) return;
  ensure(bytes < size_t{1} << 31, "broadcast of 2 GiB or more");
  MPI_Request request;
  mpi_check(MPI_Ibcast(data, static_cast<int>(bytes), MPI_BYTE, root, handle_->comm, &request));
  wait(request);
}

void MpiGroup::barrier() const {
  if (size_ == 1) return;
  MPI_Request request;
  mpi_check(MPI_Ibarrier(handle_->comm, &request));
  wait(request);
}

std::vector<int64_t> MpiGroup::all_gather(int64_t value) const {
  std::vector<int64_t> all(static_cast<size_t>(size_), value);
  if (size_ == 1) return all;
  MPI_Request request;
  mpi_check(
      MPI_Iallgather(&value, 1, MPI_INT64_T, all.data(), 1, MPI_INT64_T, handle_->comm, &request));
  wait(request);
  return all;
}

int64_t MpiGroup::min(int64_t value) const {
  auto all = all_gather(value);
  return *std::min_element(all.begin(), all.end());
}

int64_t MpiGroup::max(int64_t value) const {
  auto all = all_gather(value);
  return *std::max_element(all.begin(), all.end());
}

std::string MpiGroup::broadcast_text(std::string text, int root) const {
  auto length = static_cast<int64_t>(text.size());
  broadcast(&length, sizeof length, root);
  text.resize(static_cast<size_t>(length));
  broadcast(text.data(), text.size(), root);
  return text;
}

}  // namespace ll
