#include "parallel/communicator.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include "parallel/make_communicator.h"
#include "tests/support/device.h"
#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;
using namespace std::chrono_literals;

namespace {

Communicator& comm() {
  static std::unique_ptr<Communicator> c = make_communicator(backend(), world());
  return *c;
}

// What rank `rank` holds: a function of the rank, so that each rank knows everybody's.
std::vector<float> data_of_rank(int rank, int64_t count, uint64_t seed) {
  return random_floats(count, seed * 100 + static_cast<uint64_t>(rank), 10.0f);
}

// Element by element in rank order, in float32, rounded once: what Communicator promises.
template <class T>
std::vector<T> sum_in_rank_order(int64_t count, uint64_t seed) {
  std::vector<float> sum(static_cast<size_t>(count));
  for (int rank = 0; rank < world().size(); ++rank) {
    auto part = as_seen(data_of_rank(rank, count, seed), dtype_of<T>());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  }
  if constexpr (std::is_same_v<T, float>)
    return sum;
  else
    return rounded(sum);
}

template <class T>
void check_sum(int64_t count, uint64_t seed) {
  CAPTURE(count);
  auto mine = data_of_rank(world().rank(), count, seed);
  Tensor x = upload_floats(mine, {count}, dtype_of<T>());
  comm().all_reduce_sum(stream(), x);
  auto got = download<T>(x.view().data, static_cast<size_t>(count));
  // A lone rank keeps what it has.
  auto want = sum_in_rank_order<T>(count, seed);
  CHECK(std::memcmp(got.data(), want.data(), got.size() * sizeof(T)) == 0);
}

// Fewer elements than ranks, as many, not a multiple, and more than one block of the exchange.
const std::vector<int64_t> kCounts{1, 2, 3, 4, 5, 7, 31, 64, 1000, 4097, (int64_t{4} << 20) + 3};

}  // namespace

TEST_CASE("communicator: sums of float32 and bfloat16 have the bits of a sum in rank order") {
  for (size_t i = 0; i < kCounts.size(); ++i) {
    check_sum<float>(kCounts[i], i);
    check_sum<bf16>(kCounts[i], i);
  }
}

TEST_CASE("communicator: sums of int64") {
  for (int64_t count : {1, 3, 2048, 5001}) {
    std::vector<int64_t> mine(static_cast<size_t>(count));
    for (size_t i = 0; i < mine.size(); ++i)
      mine[i] = (int64_t{1} << 50) * (world().rank() + 1) - static_cast<int64_t>(i);
    Tensor x = upload(mine, {count}, DType::i64);
    comm().all_reduce_sum(stream(), x);
    auto got = download<int64_t>(x.view().data, mine.size());
    int64_t n = world().size(), wrong = 0;
    for (size_t i = 0; i < got.size(); ++i)
      wrong += got[i] != (int64_t{1} << 50) * (n * (n + 1) / 2) - n * static_cast<int64_t>(i);
    CHECK(wrong == 0);
  }
}

TEST_CASE("communicator: nothing to sum, and the tensor of another shape") {
  comm().all_reduce_sum(stream(), {});
  Tensor none(backend().device, DType::f32, {0, 5});
  comm().all_reduce_sum(stream(), none);
  comm().all_reduce_max(stream(), none);
  Tensor x = upload_floats({1, 2, 3, 4, 5, 6}, {2, 3}, DType::f32);
  comm().all_reduce_sum(stream(), x.view().rows(1, 1));  // the second row only
  auto got = download_floats(x);
  auto n = static_cast<float>(world().size());
  CHECK(got == std::vector<float>{1, 2, 3, 4 * n, 5 * n, 6 * n});
}

TEST_CASE("communicator: numbers that are none stay where they are") {
  std::vector<float> mine{1, INFINITY, world().rank() == 0 ? NAN : 0.0f, -INFINITY, 2};
  Tensor x = upload_floats(mine, {5}, DType::f32);
  comm().all_reduce_sum(stream(), x);
  auto got = download_floats(x);
  CHECK(got[0] == static_cast<float>(world().size()));
  CHECK(got[1] == INFINITY);
  CHECK(std::isnan(got[2]));
  CHECK(got[3] == -INFINITY);
}

TEST_CASE("communicator: the largest of each element") {
  for (int64_t count : {1, 5, 333}) {
    Tensor x = upload_floats(data_of_rank(world().rank(), count, 9), {count}, DType::f32);
    comm().all_reduce_max(stream(), x);
    std::vector<float> want(static_cast<size_t>(count), -INFINITY);
    for (int rank = 0; rank < world().size(); ++rank) {
      auto part = data_of_rank(rank, count, 9);
      for (size_t i = 0; i < want.size(); ++i) want[i] = std::max(want[i], part[i]);
    }
    CHECK(download_floats(x) == want);
  }
}

TEST_CASE("communicator: everybody's data, in rank order") {
  for (int64_t count : {0, 1, 3, 1000, 70'001}) {
    auto ranks = static_cast<int64_t>(world().size());
    Tensor send = upload_floats(data_of_rank(world().rank(), count, 4), {count}, DType::f32);
    Tensor all = poisoned({ranks, count}, DType::f32);
    comm().all_gather(stream(), send.view().data, all.view().data, send.bytes());
    std::vector<float> want;
    for (int rank = 0; rank < world().size(); ++rank) {
      auto part = data_of_rank(rank, count, 4);
      want.insert(want.end(), part.begin(), part.end());
    }
    CHECK(download_floats(all) == want);
  }
}

TEST_CASE("communicator: the fused sum, residual and norm is the three of them") {
  for (DType dtype : model_dtypes())
    for (int64_t rows : {1, 3, 17}) {
      constexpr int64_t kWidth = 96;
      int64_t count = rows * kWidth;
      auto residual = random_floats(count, 1), weight = random_floats(kWidth, 2);
      auto of = [&](const std::vector<float>& values, Shape shape) {
        return upload_floats(values, shape, dtype);
      };
      auto run = [&](bool fused) {
        Tensor r = of(residual, {rows, kWidth}), w = of(weight, {kWidth}),
               delta = of(data_of_rank(world().rank(), count, 3), {rows, kWidth}),
               out = poisoned({rows, kWidth}, dtype);
        AddRmsNormArgs args{out, r, delta, w, 1e-6f};
        if (fused) {
          comm().all_reduce_add_rms_norm(stream(), args);
        } else {
          comm().all_reduce_sum(stream(), delta);
          backend().ops.add_rms_norm(stream(), args);
        }
        return std::pair(download_floats(out), download_floats(r));
      };
      CHECK(run(true) == run(false));
    }
}

TEST_CASE("communicator: a norm without anything to add needs no exchange") {
  Tensor r = upload_floats(random_floats(64, 1), {2, 32}, DType::f32),
         w = upload_floats(std::vector<float>(32, 1), {32}, DType::f32),
         out = poisoned({2, 32}, DType::f32);
  // Were it a collective, the ranks' unequal numbers of calls would never end.
  for (int i = 0; i <= world().rank(); ++i)
    comm().all_reduce_add_rms_norm(stream(), {out, r, TensorView{}, w, 1e-6f});
  CHECK(!std::isnan(download_floats(out)[0]));
}

TEST_CASE("communicator: a rank that comes late changes nothing") {
  for (int late = 0; late < world().size(); ++late) {
    if (world().rank() == late) std::this_thread::sleep_for(30ms);
    check_sum<float>(777, static_cast<uint64_t>(late));
    check_sum<bf16>(5, static_cast<uint64_t>(late));
  }
}

TEST_CASE("communicator: hundreds of exchanges of changing sizes in a row") {
  for (uint64_t i = 0; i < 150; ++i) check_sum<float>(static_cast<int64_t>(1 + i * 37 % 700), i);
}

TEST_CASE("communicator: a watchdog sees the collective a process is in") {
  CHECK(Communicator::current() == nullptr);
  if (world().size() == 1) return;
  std::atomic<bool> seen = false, stop = false;
  std::thread observer([&] {
    while (!stop) {
      const char* name = Communicator::current();
      if (name && std::string(name) == "all_reduce_sum") seen = true;
      std::this_thread::sleep_for(1ms);
    }
  });
  if (world().rank() == 0) std::this_thread::sleep_for(100ms);
  check_sum<float>(10, 1);
  if (world().rank() > 0) CHECK(seen);
  stop = true;
  observer.join();
  CHECK(Communicator::current() == nullptr);
}

TEST_CASE("communicator: two sums in one exchange") {
  auto a = data_of_rank(world().rank(), 37, 5), b = data_of_rank(world().rank(), 3, 6);
  Tensor x = upload_floats(a, {37}, DType::f32), y = upload_floats(b, {3}, DType::f32);
  comm().all_reduce_sum(stream(), x, y);
  CHECK(download_floats(x) == sum_in_rank_order<float>(37, 5));
  CHECK(download_floats(y) == sum_in_rank_order<float>(3, 6));
}

TEST_CASE("communicator: all to all") {
  int size = world().size(), rank = world().rank();
  for (int32_t count : {0, 1, 5, 1000}) {
    std::vector<int32_t> mine;
    for (int to = 0; to < size; ++to)
      for (int32_t i = 0; i < count; ++i) mine.push_back(rank * 1000000 + to * 10000 + i);
    Tensor send = upload_ints(mine), receive = poisoned({size * count}, DType::i32);
    comm().all_to_all(stream(), send.view().data, receive.view().data,
                      static_cast<size_t>(count) * sizeof(int32_t));
    auto got = download<int32_t>(receive.view().data, mine.size());
    for (int from = 0; from < size; ++from)
      for (int32_t i = 0; i < count; ++i)
        CHECK(got[static_cast<size_t>(from * count + i)] == from * 1000000 + rank * 10000 + i);
  }
}
