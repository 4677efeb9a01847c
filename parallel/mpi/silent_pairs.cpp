#include "parallel/mpi/silent_pairs.h"

#include <mpi.h>

#include <thread>

#include "parallel/mpi/mpi_handle.h"

namespace ll {
namespace {

constexpr int kWordTag = 2;

// Outlives the call: MPI may write there until the process ends.
struct Word {
  char sent = 0, received = 0;
  MPI_Request send = MPI_REQUEST_NULL, receive = MPI_REQUEST_NULL;

  bool is_done(MPI_Request& request) {
    int done = 0;
    mpi_check(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    return done != 0;
  }
  bool is_exchanged() {
    bool is_heard = is_done(receive);
    return is_done(send) && is_heard;
  }
};

}  // namespace

std::vector<int> silent_members(const MpiGroup& group, std::chrono::seconds limit) {
  using Clock = std::chrono::steady_clock;
  std::vector<int> silent;
  if (group.size() == 1) return silent;
  auto& words = *new std::vector<Word>(static_cast<size_t>(group.size()));
  MPI_Comm comm = group.handle().comm;
  for (int i = 1; i < group.size(); ++i) {
    int other = (group.rank() + i) % group.size();
    Word& word = words[static_cast<size_t>(other)];
    mpi_check(MPI_Irecv(&word.received, 1, MPI_BYTE, other, kWordTag, comm, &word.receive));
    mpi_check(MPI_Isend(&word.sent, 1, MPI_BYTE, other, kWordTag, comm, &word.send));
  }
  for (auto end = Clock::now() + limit;;) {
    bool are_done = true;
    for (Word& word : words) are_done &= word.is_exchanged();
    if (are_done) {
      delete &words;
      return silent;
    }
    if (Clock::now() > end) break;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  for (size_t i = 0; i < words.size(); ++i)
    if (!words[i].is_exchanged()) silent.push_back(static_cast<int>(i));
  return silent;
}

}  // namespace ll
