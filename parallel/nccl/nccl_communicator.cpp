#include "parallel/nccl/nccl_communicator.h"

#include <nccl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <vector>

#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/workspace.h"
#include "kernels/few_rows.h"
#include "parallel/nccl/nccl_check.h"
#include "parallel/nccl/nccl_fused.h"

namespace ll {

void nccl_check(ncclResult_t result, std::source_location where) {
  if (result == ncclSuccess) return;
  fail("NCCL: {}; {} ({}:{})", ncclGetErrorString(result), ncclGetLastError(nullptr),
       where.file_name(), where.line());
}

namespace {

// NVLink multicast off unless the user asks for it: the fused kernel needs windows without it.
// NCCL refuses a GPU that is there twice, unless on different hosts: ranks that share GPUs pass for
// as many hosts as there are rounds.
void set_environment() {
  setenv("NCCL_NVLS_ENABLE", "0", /*overwrite=*/0);
  if (cuda::gpu_round() == 0) return;
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  setenv("NCCL_HOSTID", fmt::format("{}-{}", host, cuda::gpu_round()).c_str(), /*overwrite=*/0);
}

ncclComm_t connect(const MpiGroup& group) {
  set_environment();
  ncclUniqueId id;
  if (group.rank() == 0) nccl_check(ncclGetUniqueId(&id));
  group.broadcast(&id, sizeof id, 0);
  ncclComm_t comm;
  nccl_check(ncclCommInitRank(&comm, group.size(), id, group.rank()));
  return comm;
}

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i64:
      return ncclInt64;
    default:
      ensure(false, "collective on this dtype");
      return ncclInt8;
  }
}

cudaStream_t of(Stream s) { return cuda::cuda_stream(s); }

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const Backend& backend, const MpiGroup& group)
      : Communicator(backend.ops, group.rank(), group.size()),
        backend_(backend),
        group_(group),
        comm_(connect(group)),
        fused_(NcclFused::create(comm_, group, kFewRows)) {
    if (fused_) check_fused();
    if (fused_) measure_fused();
  }
  ~NcclCommunicator() override {
    fused_.reset();  // its device communicator goes before the host's
    ncclCommDestroy(comm_);
  }

 private:
  void do_all_reduce_sum(Stream stream, TensorView x) override { reduce(stream, x, ncclSum); }
  void do_all_reduce_max(Stream stream, TensorView x) override { reduce(stream, x, ncclMax); }

  void reduce(Stream stream, TensorView x, ncclRedOp_t op) {
    nccl_check(ncclAllReduce(/*sendbuff=*/x.data, /*recvbuff=*/x.data,
                             /*count=*/static_cast<size_t>(x.numel()), type_of(x.dtype), op, comm_,
                             of(stream)));
  }

  void do_all_gather(Stream stream, const void* send, void* receive, size_t bytes) override {
    nccl_check(ncclAllGather(/*sendbuff=*/send, /*recvbuff=*/receive, /*sendcount=*/bytes, ncclInt8,
                             comm_, of(stream)));
  }

  void do_all_reduce_sums(Stream stream, TensorView x, TensorView y) override {
    nccl_check(ncclGroupStart());
    reduce(stream, x, ncclSum);
    reduce(stream, y, ncclSum);
    nccl_check(ncclGroupEnd());
  }

  void do_all_to_all(Stream stream, const void* send, void* receive, size_t bytes) override {
    nccl_check(ncclGroupStart());
    for (int peer = 0; peer < size(); ++peer) {
      auto at = static_cast<size_t>(peer) * bytes;
      nccl_check(
          ncclSend(static_cast<const char*>(send) + at, bytes, ncclInt8, peer, comm_, of(stream)));
      nccl_check(
          ncclRecv(static_cast<char*>(receive) + at, bytes, ncclInt8, peer, comm_, of(stream)));
    }
    nccl_check(ncclGroupEnd());
  }

  void do_all_reduce_add_rms_norm(Stream stream, const AddRmsNormArgs& args) override {
    if (fused_ && args.out.dim(0) <= fused_rows_ && fused_->takes(args))
      fused_->run(stream, args);
    else
      Communicator::do_all_reduce_add_rms_norm(stream, args);
  }

  // A row of random tensors of the kind the model uses.
  struct Sample {
    Sample(const Backend& b, Stream stream, int64_t rows, int64_t hidden, int rank)
        : out(b.device, DType::bf16, {rows, hidden}),
          residual(b.device, DType::bf16, {rows, hidden}),
          delta(b.device, DType::bf16, {rows, hidden}),
          weight(b.device, DType::bf16, {hidden}) {
      b.ops.fill_random(stream, residual, 1, 1, 0, 0, hidden);
      b.ops.fill_random(stream, delta, 2 + static_cast<uint64_t>(rank), 1, 0, 0, hidden);
      b.ops.fill_random(stream, weight, 0, 1, 0, 0, 1);
    }
    AddRmsNormArgs args() const { return {out, residual, delta, weight, 1e-6f}; }
    Tensor out, residual, delta, weight;
  };

  std::vector<bf16> host(Stream stream, const Tensor& t) const {
    std::vector<bf16> values(static_cast<size_t>(t.view().numel()));
    backend_.device.copy(stream, values.data(), t.view().data, t.bytes());
    backend_.device.synchronize(stream);
    return values;
  }

  // The fused kernel against NCCL's all-reduce, and its residuals against the other ranks'. What
  // fails is not used.
  void check_fused() {
    Stream stream = backend_.device.create_side_stream();
    bool good = true;
    for (int64_t hidden : {64, 3584})
      for (int64_t rows : {int64_t{1}, kFewRows})
        for (int repeat = 0; repeat < 3; ++repeat) {
          Sample a(backend_, stream, rows, hidden, rank()),
              b(backend_, stream, rows, hidden, rank());
          fused_->run(stream, a.args());
          Communicator::do_all_reduce_add_rms_norm(stream, b.args());
          auto fused = host(stream, a.residual), plain = host(stream, b.residual);
          uint32_t hash = 2166136261u;
          double difference = 0, norm = 0;
          for (size_t i = 0; i < fused.size(); ++i) {
            hash = (hash ^ fused[i].bits) * 16777619u;
            difference += std::pow(to_float(fused[i]) - to_float(plain[i]), 2);
            norm += std::pow(to_float(plain[i]), 2);
          }
          good &= difference <= 1e-4 * norm && group_.min(hash) == group_.max(hash);
        }
    backend_.device.destroy_stream(stream);
    if (group_.min(good) > 0) return;
    if (rank() == 0)
      fmt::print(
          stderr,
          "litelang: the fused all-reduce disagrees with NCCL's on this machine; using NCCL's\n");
    fused_.reset();
  }

  // Of one call, on the device: calls are replayed as a graph.
  double microseconds(Stream stream, const std::function<void()>& work) const {
    constexpr int kCalls = 20, kReplays = 4;
    const DeviceApi& device = backend_.device;
    backend_.graphs->begin_capture(stream);
    for (int i = 0; i < kCalls; ++i) work();
    Graph graph = backend_.graphs->end_capture(stream);
    Event from = device.create_event(), to = device.create_event();
    double best = 1e9;
    for (int replay = 0; replay < kReplays; ++replay) {
      group_.barrier();
      device.record(from, stream);
      backend_.graphs->launch(graph, stream);
      device.record(to, stream);
      device.wait_host(to);
      best = std::min(best, 1e3 * device.elapsed_ms(from, to) / kCalls);
    }
    device.destroy_event(from);
    device.destroy_event(to);
    backend_.graphs->destroy(graph);
    return best;
  }

  // Up to how many rows the fused kernel is faster, at a common hidden size.
  void measure_fused() {
    Stream stream = backend_.device.create_side_stream();
    fused_rows_ = 0;
    for (int64_t rows = 1; rows <= kFewRows; rows *= 2) {
      Sample s(backend_, stream, rows, 3584, rank());
      double fused = microseconds(stream, [&] { fused_->run(stream, s.args()); });
      double plain =
          microseconds(stream, [&] { Communicator::do_all_reduce_add_rms_norm(stream, s.args()); });
      if (group_.min(fused < plain) > 0) fused_rows_ = rows;
    }
    backend_.device.destroy_stream(stream);
  }

  const Backend& backend_;
  MpiGroup group_;
  ncclComm_t comm_;
  std::unique_ptr<NcclFused> fused_;
  int64_t fused_rows_ = kFewRows;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(const Backend& backend,
                                                     const MpiGroup& group) {
  return std::make_unique<NcclCommunicator>(backend, group);
}

}  // namespace ll
