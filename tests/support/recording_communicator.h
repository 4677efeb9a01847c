#pragma once
// Communicators that note what is called on them, in order.
#include <map>
#include <string>
#include <vector>

#include "parallel/make_communicator.h"
#include "parallel/process_grid.h"

namespace ll::test {

struct CollectiveCall {
  std::string op;
  int64_t bytes = 0;  // of the member's own data; of all its blocks where they differ by receiver
  DType dtype = DType::u8;
};

// What one communicator was asked for.
struct CollectiveLog {
  MpiGroup group;
  std::vector<CollectiveCall> calls;

  // Bytes this member sends when the sums go round a ring [Patarasuk & Yuan 2009] and other blocks
  // straight to whom they are for.
  int64_t bytes_sent() const {
    int64_t sent = 0, others = group.size() - 1;
    for (const auto& c : calls) {
      if (c.op.starts_with("all_reduce")) sent += 2 * others * c.bytes / group.size();
      if (c.op == "all_gather") sent += others * c.bytes;
      if (c.op == "all_to_all") sent += others * c.bytes / group.size();
    }
    return sent;
  }

  // Whether all members were asked for the same. Collective over the group.
  bool is_same_everywhere() const {
    int64_t hash = 17;
    for (const auto& c : calls)
      hash = static_cast<int64_t>(
                 (static_cast<uint64_t>(hash) * 31 + std::hash<std::string>()(c.op)) * 31 +
                 static_cast<uint64_t>(c.bytes)) +
             static_cast<int64_t>(c.dtype);
    return group.min(hash) == group.max(hash);
  }
};

class RecordingCommunicator final : public Communicator {
 public:
  RecordingCommunicator(const Backend& backend, const MpiGroup& group, CollectiveLog& log)
      : Communicator(backend.ops, group.rank(), group.size()),
        inner_(make_communicator(backend, group)),
        log_(log) {
    log_.group = group;
  }

 private:
  void note(const char* op, int64_t bytes, DType dtype) {
    log_.calls.push_back({op, bytes, dtype});
  }
  void note(const char* op, const TensorView& x) {
    note(op, static_cast<int64_t>(x.bytes()), x.dtype);
  }

  void do_all_reduce_sum(Stream stream, TensorView x) override {
    note("all_reduce_sum", x);
    inner_->all_reduce_sum(stream, x);
  }
  void do_all_reduce_sums(Stream stream, TensorView x, TensorView y) override {
    note("all_reduce_sum", x);
    note("all_reduce_with", y);
    inner_->all_reduce_sum(stream, x, y);
  }
  void do_all_reduce_max(Stream stream, TensorView x) override {
    note("all_reduce_max", x);
    inner_->all_reduce_max(stream, x);
  }
  void do_all_gather(Stream stream, const void* send, void* receive, size_t bytes) override {
    note("all_gather", static_cast<int64_t>(bytes), DType::u8);
    inner_->all_gather(stream, send, receive, bytes);
  }
  void do_all_to_all(Stream stream, const void* send, void* receive, size_t bytes) override {
    note("all_to_all", static_cast<int64_t>(bytes) * size(), DType::u8);
    inner_->all_to_all(stream, send, receive, bytes);
  }
  void do_all_reduce_add_rms_norm(Stream stream, const AddRmsNormArgs& args) override {
    note("all_reduce_add_rms_norm", args.delta);
    inner_->all_reduce_add_rms_norm(stream, args);
  }

  std::unique_ptr<Communicator> inner_;
  CollectiveLog& log_;
};

// Makes recording communicators; the logs stand in the order a grid makes them.
class Recorder {
 public:
  ProcessGrid::MakeCommunicator maker() {
    return [this](const Backend& backend, const MpiGroup& group) {
      logs_.push_back(std::make_unique<CollectiveLog>());
      return std::make_shared<RecordingCommunicator>(backend, group, *logs_.back());
    };
  }
  const std::vector<std::unique_ptr<CollectiveLog>>& logs() const { return logs_; }
  void clear() {
    for (auto& log : logs_) log->calls.clear();
  }
  int64_t bytes_sent() const {
    int64_t sum = 0;
    for (const auto& log : logs_) sum += log->bytes_sent();
    return sum;
  }
  bool is_same_everywhere() const {
    bool same = true;
    for (const auto& log : logs_) same &= log->is_same_everywhere();
    return same;
  }

 private:
  std::vector<std::unique_ptr<CollectiveLog>> logs_;
};

}  // namespace ll::test
