#pragma once
// Collectives on tensors of one device, in the order of a stream. Two kinds: MPI on host memory
// (the CPU backend) and NCCL on device memory. Every member calls the same collectives in the same
// order; a group of one returns at once. Sums run in rank order, so all members hold the same bits.
#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/backend.h"

namespace ll {

class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // In place. float32 and bfloat16 (added in float32, rounded once), and int64 (sum only).
  void all_reduce_sum(Stream stream, TensorView x);
  // Two tensors in one exchange: a sum that rides along costs no latency of its own.
  void all_reduce_sum(Stream stream, TensorView x, TensorView y);
  // In place, float32.
  void all_reduce_max(Stream stream, TensorView x);
  // receive[r] = member r's `bytes` bytes of send.
  void all_gather(Stream stream, const void* send, void* receive, size_t bytes);
  // receive[r] = what member r has for this one; part m of send, `bytes` long, is for member m.
  void all_to_all(Stream stream, const void* send, void* receive, size_t bytes);
  // Ops::add_rms_norm with delta summed over the members first; delta is clobbered. The hook where
  // an implementation fuses the all-reduce with what follows it.
  void all_reduce_add_rms_norm(Stream stream, const AddRmsNormArgs& args);

  // Memory of `bytes` bytes on each member, zero, that all members' devices store to and load from:
  // each member's, as this one's device sees it. Empty where they do not reach each other's.
  // Collective; the memory lives as long as this.
  std::vector<void*> make_rooms(size_t bytes) { return do_make_rooms(bytes); }

  // The collective this process is in, for the message of a watchdog; null outside.
  static const char* current();

  // Counts the seconds of collectives from here on, where their work is done before they return:
  // those on host memory.
  static void time_collectives();
  // What the calling thread counted so far, with the norms that go along.
  static double timed_seconds();

 protected:
  Communicator(const Ops& ops, int rank, int size) : ops_(ops), rank_(rank), size_(size) {}
  const Ops& ops() const { return ops_; }

  virtual void do_all_reduce_sum(Stream stream, TensorView x) = 0;
  virtual void do_all_reduce_sums(Stream stream, TensorView x, TensorView y);
  virtual void do_all_reduce_max(Stream stream, TensorView x) = 0;
  virtual void do_all_gather(Stream stream, const void* send, void* receive, size_t bytes) = 0;
  virtual void do_all_to_all(Stream stream, const void* send, void* receive, size_t bytes) = 0;
  virtual void do_all_reduce_add_rms_norm(Stream stream, const AddRmsNormArgs& args);
  virtual std::vector<void*> do_make_rooms(size_t /*bytes*/) { return {}; }

 private:
  const Ops& ops_;
  int rank_, size_;
};

// The group of one, on any device.
std::unique_ptr<Communicator> make_self_communicator(const Backend& backend);

}  // namespace ll
