#pragma once
// A group of ranks and its host-memory collectives: the control plane (plans, memory minima, unique
// ids). Every member calls the same collectives in the same order. A group of one returns at once.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ll {

class MpiGroup {
 public:
  // The group of this process alone.
  MpiGroup();

  int rank() const { return rank_; }
  int size() const { return size_; }

  // Members with the same color form a new group, ordered by key.
  MpiGroup split(int color, int key) const;
  // Members on this host.
  MpiGroup same_host() const;

  // Waiting members sleep after a short spin.
  void broadcast(void* data, size_t bytes, int root) const;
  void barrier() const;

  int64_t min(int64_t value) const;
  int64_t max(int64_t value) const;
  // One entry per member, in rank order.
  std::vector<int64_t> all_gather(int64_t value) const;
  // Text of any length from `root` to all.
  std::string broadcast_text(std::string text, int root) const;

  struct Handle;  // MPI_Comm, hidden
  const Handle& handle() const { return *handle_; }

 private:
  friend class MpiEnvironment;
  explicit MpiGroup(std::shared_ptr<const Handle> handle);

  std::shared_ptr<const Handle> handle_;
  int rank_ = 0, size_ = 1;
};

}  // namespace ll
