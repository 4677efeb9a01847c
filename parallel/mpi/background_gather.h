#pragma once
// An all-gather of a few bytes that goes on beside other work of its members.
#include <cstddef>
#include <memory>
#include <span>

#include "parallel/mpi/mpi_group.h"

namespace ll {

// One at a time. All calls are the main thread's, and those of begin() and wait() in the same
// order on all members.
class BackgroundGather {
 public:
  // Collective: what is gathered keeps to itself.
  explicit BackgroundGather(const MpiGroup& group);
  // Waits for what is under way, unless the program is ending by an exception.
  ~BackgroundGather();
  BackgroundGather(const BackgroundGather&) = delete;
  BackgroundGather& operator=(const BackgroundGather&) = delete;

  // Sends `mine`, as many bytes on all members, on its way.
  void begin(std::span<const std::byte> mine);
  bool is_under_way() const { return state_ != nullptr; }
  // Whether wait() would not wait; lets the library go on.
  bool is_done();
  // What all members sent, in their order; valid until the next begin().
  std::span<const std::byte> wait();

 private:
  struct State;
  MpiGroup group_;
  std::unique_ptr<State> state_, finished_;
};

}  // namespace ll
