#include <algorithm>

#include "kernels/call_timer.h"
#include "parallel/make_communicator.h"
#include "runtime/planning/machine_rates.h"

namespace ll {
namespace {

// Latency, what decode steps of many rows send, and prefill steps.
constexpr double kBytes[] = {4e3, 64e3, 256e3, 1e6, 16e6};
constexpr int64_t kUpToFewRows[] = {1, 16, kFewRows}, kManyRows[] = {128, 512, 4096};
constexpr double kLargest = 16e6;

// Exchanges of one group, timed on the slowest rank of all groups.
class LinkTimer {
 public:
  LinkTimer(const Backend& backend, const MpiGroup& world, int members, DType dtype, int64_t hidden)
      : backend_(backend),
        world_(world),
        members_(members),
        dtype_(dtype),
        hidden_(hidden),
        stream_(backend.device.create_side_stream()),
        comm_(make_communicator(backend, world.split(world.rank() / members, world.rank()))),
        rows_({buffer(rows_of(kLargest)), buffer(rows_of(kLargest)), buffer(rows_of(kLargest)),
               buffer(1)}),
        numbers_(backend.device, DType::f32, {rows_[0].view().dim(0)}) {
    backend.device.fill(stream_, numbers_.view().data, 0, numbers_.bytes());
  }
  ~LinkTimer() {
    comm_.reset();
    backend_.device.destroy_stream(stream_);
  }
  LinkTimer(const LinkTimer&) = delete;
  LinkTimer& operator=(const LinkTimer&) = delete;

  ExchangeTimes times() {
    return {members_,
            by_bytes([&](int64_t rows) {
              comm_->all_reduce_sum(stream_, rows_[0].view().rows(0, rows));
            }),
            by_bytes([&](int64_t rows) {
              comm_->all_reduce_sum(stream_, rows_[0].view().rows(0, rows),
                                    numbers_.view().rows(0, rows));
            }),
            by_rows(kUpToFewRows),
            by_rows(kManyRows),
            by_bytes([&](int64_t rows) { gather(rows); }),
            by_bytes([&](int64_t rows) { exchange(rows); })};
  }

 private:
  int64_t rows_of(double bytes) const {
    return std::max<int64_t>(1, static_cast<int64_t>(bytes) / row_bytes());
  }
  int64_t row_bytes() const { return hidden_ * static_cast<int64_t>(size_of(dtype_)); }
  Tensor buffer(int64_t rows) const {
    Tensor t(backend_.device, dtype_, {std::max(rows, kManyRows[2]), hidden_});
    backend_.device.fill(stream_, t.view().data, 0, t.bytes());
    return t;
  }
  // What each member sends where `rows` rows come from the others together.
  size_t share_bytes(int64_t rows) const {
    return std::max<size_t>(
        16, static_cast<size_t>(rows * row_bytes()) / static_cast<size_t>(members_) / 16 * 16);
  }
  void gather(int64_t rows) {
    comm_->all_gather(stream_, rows_[0].view().data, rows_[1].view().data, share_bytes(rows));
  }
  void exchange(int64_t rows) {
    comm_->all_to_all(stream_, rows_[0].view().data, rows_[1].view().data, share_bytes(rows));
  }

  double seconds(const std::function<void()>& work) {
    constexpr int kCalls = 10;
    constexpr double kNano = 1e9;
    double own = seconds_a_call(
        backend_, stream_, kCalls, [&](int) { work(); }, [&] { world_.barrier(); });
    return static_cast<double>(world_.max(static_cast<int64_t>(own * kNano))) / kNano;
  }
  template <class Work>
  TimeTable by_bytes(const Work& work) {
    std::vector<TimeTable::Point> points;
    for (double bytes : kBytes) {
      int64_t rows = rows_of(bytes);
      auto size = static_cast<double>(rows * row_bytes());
      points.push_back({size, seconds([&] { work(rows); })});
    }
    return points;
  }
  TimeTable by_rows(std::span<const int64_t> numbers) {
    std::vector<TimeTable::Point> points;
    for (int64_t n : numbers) {
      auto of = [&](size_t i) { return rows_[i].view().rows(0, n); };
      TensorView weight = rows_[3].view().rows(0, 1).reshaped({hidden_});
      double time = seconds([&] {
        comm_->all_reduce_add_rms_norm(stream_, {of(1), of(2), of(0), weight, 1e-6f, nullptr});
      });
      points.push_back({static_cast<double>(n * row_bytes()), time});
    }
    return points;
  }

  const Backend& backend_;
  const MpiGroup& world_;
  int members_;
  DType dtype_;
  int64_t hidden_;
  Stream stream_;
  std::unique_ptr<Communicator> comm_;
  std::vector<Tensor> rows_;  // [at least the rows of the largest, hidden]
  Tensor numbers_;            // one a row
};

}  // namespace

LinkTimes measure_links(const Backend& backend, const MpiGroup& world, DType dtype,
                        int64_t hidden) {
  bool is_cuda = backend.kind == BackendKind::kCuda;
  LinkTimes links{.hides_gathers = is_cuda,
                  .between_products_s = is_cuda ? kNcclBetweenProducts : 0};
  for (int members = 2; members <= world.size(); ++members)
    if (world.size() % members == 0)
      links.by_members.push_back(LinkTimer(backend, world, members, dtype, hidden).times());
  return links;
}

}  // namespace ll
