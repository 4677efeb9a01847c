// Speed of the collectives of a tensor-parallel step on the GPUs of one job, and how much a weight
// gather slows a matrix product beside it. usage: mpirun -np N bench_comm [--hidden 1536,3584]
// [--rows 1,64,2048] [--parts reduce,gather,overlap]
#include <fmt/core.h>

#include <functional>

#include "parallel/make_communicator.h"
#include "parallel/mpi/mpi_environment.h"
#include "perf/graph_timer.h"

using namespace ll;
using namespace ll::perf;

namespace {

constexpr int kCalls = 20;

class Bench {
 public:
  Bench(const Backend& backend, const MpiGroup& world)
      : backend_(backend),
        world_(world),
        timer_(backend),
        comm_(make_communicator(backend, world)) {}

  // An all-reduce alone, with residual and RMSNorm as separate kernels, and as the model calls it.
  void reduce(int64_t hidden, int64_t rows) {
    Tensor delta = tensor({rows, hidden}), residual = tensor({rows, hidden}),
           out = tensor({rows, hidden}), weight = tensor({hidden});
    AddRmsNormArgs args{out, residual, delta, weight, 1e-6f};
    double alone = slowest([&](Stream s) { comm_->all_reduce_sum(s, delta); });
    double separate = slowest([&](Stream s) {
      comm_->all_reduce_sum(s, delta);
      backend_.ops.add_rms_norm(s, args);
    });
    double fused = slowest([&](Stream s) { comm_->all_reduce_add_rms_norm(s, args); });
    print("{:6} {:6} {:10.1f} {:12.2f} {:14.2f} {:12.2f}\n", hidden, rows,
          static_cast<double>(delta.bytes()) / 1e3, alone, separate, fused);
  }

  // Every rank receives the others' parts of `bytes` in all.
  void gather(size_t bytes) {
    size_t part = bytes / static_cast<size_t>(world_.size());
    Tensor send = room(part), receive = room(bytes);
    double us = slowest(
        [&](Stream s) { comm_->all_gather(s, send.view().data, receive.view().data, part); });
    print("{:10.2f} {:12.2f} {:10.1f}\n", static_cast<double>(bytes) / 1e6, us,
          static_cast<double>(bytes - part) / us / 1e3);
  }

  // A matrix product alone, and while a gather of the next layer's weights runs on another stream.
  void overlap(int64_t rows, int64_t hidden, int64_t ffn) {
    Tensor natural = tensor({ffn, hidden}), storage, x = tensor({rows, hidden}),
           y = tensor({rows, ffn});
    Weight w = backend_.ops.pack_weight(timer_.stream(), natural, storage);
    size_t bytes = static_cast<size_t>(ffn * hidden) * 2,
           part = bytes / static_cast<size_t>(world_.size());
    Tensor send = room(part), receive = room(bytes);
    auto product = [&](Stream s) { backend_.ops.linear(s, {y, x, w, {}}); };
    auto gather = [&](Stream s) {
      comm_->all_gather(s, send.view().data, receive.view().data, part);
    };
    double product_us = slowest(product), gather_us = slowest(gather);
    double both = together(product, gather);
    print("{:6} {:6} {:6} {:12.1f} {:12.1f} {:12.1f}\n", rows, hidden, ffn, product_us, gather_us,
          both);
  }

  template <class... T>
  void print(fmt::format_string<T...> text, T&&... values) const {
    if (world_.rank() > 0) return;
    fmt::print(text, std::forward<T>(values)...);
    std::fflush(stdout);
  }

 private:
  Tensor tensor(Shape shape) {
    Tensor t(backend_.device, DType::bf16, shape);
    backend_.ops.fill_random(timer_.stream(), t, 7, 0.01f, 0, 0, shape.rank() > 1 ? shape[1] : 1);
    return t;
  }
  Tensor room(size_t bytes) {
    return Tensor(backend_.device, DType::u8, {static_cast<int64_t>(bytes)});
  }

  // Microseconds of a call, on the slowest rank.
  double slowest(const std::function<void(Stream)>& call) {
    world_.barrier();
    double us = timer_.microseconds(kCalls, [&](int) { call(timer_.stream()); });
    return static_cast<double>(world_.max(static_cast<int64_t>(us * 1000))) / 1000;
  }

  // Microseconds until both of a pair are done; they start together, pair after pair.
  double together(const std::function<void(Stream)>& a, const std::function<void(Stream)>& b) {
    const DeviceApi& device = backend_.device;
    Stream first = timer_.stream(), second = device.create_stream();
    Event begin = device.create_event(), joined = device.create_event(),
          end = device.create_event();
    world_.barrier();
    device.record(begin, first);
    for (int i = 0; i < kCalls; ++i) {
      device.wait_stream(second, i == 0 ? begin : end);
      a(first), b(second);
      device.record(joined, second);
      device.wait_stream(first, joined);
      device.record(end, first);
    }
    device.synchronize(first);
    double us = 1000.0 * static_cast<double>(device.elapsed_ms(begin, end)) / kCalls;
    device.destroy_event(begin), device.destroy_event(joined), device.destroy_event(end);
    device.destroy_stream(second);
    return static_cast<double>(world_.max(static_cast<int64_t>(us * 1000))) / 1000;
  }

  const Backend& backend_;
  const MpiGroup& world_;
  GraphTimer timer_;
  std::unique_ptr<Communicator> comm_;
};

std::vector<int64_t> numbers(int argc, char** argv, const std::string& name,
                             std::vector<int64_t> fallback) {
  std::vector<std::string> words = list_option(argc, argv, name);
  if (words.empty()) return fallback;
  std::vector<int64_t> values;
  for (const std::string& word : words) values.push_back(std::atoll(word.c_str()));
  return values;
}

void run(int argc, char** argv, const MpiEnvironment& mpi) {
  Backend backend = open_backend(BackendKind::kCuda, mpi.local_rank(), 0);
  Bench bench(backend, mpi.world());
  auto parts = list_option(argc, argv, "parts");
  if (names(parts, "reduce")) {
    bench.print(
        "{} ranks, {}\nhidden   rows   kilobytes  all_reduce us  + norm us   as in the model us\n",
        mpi.world().size(), backend.device_name);
    for (int64_t hidden : numbers(argc, argv, "hidden", {896, 1536, 3584}))
      for (int64_t rows : numbers(argc, argv, "rows", {1, 4, 16, 40, 64, 256, 2048}))
        bench.reduce(hidden, rows);
  }
  if (names(parts, "gather")) {
    bench.print(" megabytes  all_gather us  GB/s in\n");
    for (size_t bytes = 64 << 10; bytes <= size_t{256} << 20; bytes *= 8) bench.gather(bytes);
  }
  if (names(parts, "overlap")) {
    bench.print("  rows hidden    ffn   product us    gather us      both us\n");
    for (int64_t rows : {256, 1024, 4096, 16384}) bench.overlap(rows, 3584, 18944);
  }
}

}  // namespace

int main(int argc, char** argv) {
  MpiEnvironment mpi(&argc, &argv);
  try {
    run(argc, argv, mpi);
  } catch (const Error& error) {
    fmt::print(stderr, "bench_comm: rank {}: {}\n", mpi.world().rank(), error.what());
    MpiEnvironment::abort(ExitCode::kError);
  }
}
