#include "runtime/engine/staged_upload.h"

#include <doctest/doctest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <numeric>

#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

// A device that does nothing before it is waited for, as late as a GPU can be.
class LateDevice {
 public:
  static const DeviceApi& api() {
    const DeviceApi& cpu = backend().device;
    static const DeviceApi late{cpu.alloc,
                                cpu.free,
                                cpu.alloc_host,
                                cpu.free_host,
                                copy,
                                copy,
                                cpu.fill,
                                cpu.create_stream,
                                cpu.create_side_stream,
                                cpu.destroy_stream,
                                synchronize,
                                create_event,
                                destroy_event,
                                record,
                                cpu.is_done,
                                wait_host,
                                cpu.wait_stream,
                                cpu.elapsed_ms,
                                cpu.memory_info};
    return late;
  }
  // What arrived on the device, copy by copy.
  static std::vector<std::vector<std::byte>>& arrived() {
    static std::vector<std::vector<std::byte>> list;
    return list;
  }

 private:
  static std::deque<std::function<void()>>& work() {
    static std::deque<std::function<void()>> queue;
    return queue;
  }
  static void copy(Stream, void* to, const void* from, size_t bytes) {
    work().push_back([=] {
      std::memcpy(to, from, bytes);
      auto* data = static_cast<const std::byte*>(to);
      arrived().emplace_back(data, data + bytes);
    });
  }
  static void synchronize(Stream) {
    while (!work().empty()) run_next();
  }
  static void run_next() {
    auto next = std::move(work().front());
    work().pop_front();
    next();
  }
  static Event create_event() { return {new bool(true)}; }
  static void destroy_event(Event e) { delete static_cast<bool*>(e.handle); }
  static void record(Event e, Stream) {
    *static_cast<bool*>(e.handle) = false;
    work().push_back([e] { *static_cast<bool*>(e.handle) = true; });
  }
  static void wait_host(Event e) {
    while (!*static_cast<bool*>(e.handle)) run_next();
  }
};

std::vector<int32_t> counting(int32_t first, size_t n) {
  std::vector<int32_t> list(n);
  std::iota(list.begin(), list.end(), first);
  return list;
}

template <class T>
bool has(const StagedUpload& upload, StagedUpload::Place<T> place, const std::vector<T>& want) {
  std::span<const T> got = upload.get(place);
  return got.size() == want.size() && std::memcmp(got.data(), want.data(), got.size_bytes()) == 0;
}

}  // namespace

TEST_CASE("staged upload: arrays of several types arrive, each on a boundary of its own") {
  StagedUpload upload(backend(), stream(), 4096);
  auto a = counting(5, 3);
  std::vector<float> b{1.5f, -2.0f};
  std::vector<Chunk> c{{1, 2, 3, 4}, {5, 6, 7, 8}};
  upload.begin();
  auto at_a = upload.add(a);
  auto at_b = upload.add(b);
  auto nothing = upload.add(std::vector<int64_t>());
  auto at_c = upload.add(c);
  upload.upload();
  finish();
  CHECK(has(upload, at_a, a));
  CHECK(has(upload, at_b, b));
  CHECK(has(upload, at_c, c));
  CHECK(upload.get(nothing).data() == nullptr);
  for (const void* p : {static_cast<const void*>(upload.get(at_b).data()),
                        static_cast<const void*>(upload.get(at_c).data())})
    CHECK((static_cast<const char*>(p) - reinterpret_cast<const char*>(upload.get(at_a).data())) %
              256 ==
          0);
}

TEST_CASE("staged upload: the same sizes land in the same places") {
  StagedUpload upload(backend(), stream(), 4096);
  const int32_t* before = nullptr;
  for (int32_t step = 0; step < 10; ++step) {
    upload.begin();
    upload.add(counting(step, 70));
    auto place = upload.add(counting(100 * step, 5));
    upload.upload();
    finish();
    CHECK(has(upload, place, counting(100 * step, 5)));
    if (before) CHECK(upload.get(place).data() == before);
    before = upload.get(place).data();
    CHECK(upload.generation() == 1);
  }
}

TEST_CASE("staged upload: it grows when a step needs more, and says that it moved") {
  StagedUpload upload(backend(), stream(), 256);
  int generation = upload.generation();
  for (size_t size : {size_t{10}, size_t{64}, size_t{65}, size_t{100'000}, size_t{20}}) {
    CAPTURE(size);
    upload.begin();
    auto first = upload.add(counting(1, size));
    auto second = upload.add(counting(7, 3));
    upload.upload();
    finish();
    CHECK(has(upload, first, counting(1, size)));
    CHECK(has(upload, second, counting(7, 3)));
  }
  CHECK(upload.generation() > generation);
  upload.begin();
  upload.upload();  // nothing to send
}

TEST_CASE("staged upload: host memory is not written again before the device has read it") {
  Backend late{.kind = backend().kind,
               .device_name = "late",
               .device = LateDevice::api(),
               .ops = backend().ops,
               .graphs = nullptr,
               .fixed_page_size = 0};
  LateDevice::arrived().clear();
  {
    StagedUpload upload(late, stream(), 1024);
    for (int32_t step = 0; step < 12; ++step) {
      upload.begin();
      // The eighth step does not fit: earlier copies still go where they were to go.
      upload.add(counting(step, step == 7 ? 2000 : 50));
      upload.upload();
    }
    late.device.synchronize(stream());
  }
  REQUIRE(LateDevice::arrived().size() == 12);
  for (int32_t step = 0; step < 12; ++step) {
    auto want = counting(step, step == 7 ? 2000 : 50);
    const auto& got = LateDevice::arrived()[static_cast<size_t>(step)];
    REQUIRE(got.size() >= want.size() * sizeof(int32_t));
    CHECK(std::memcmp(got.data(), want.data(), want.size() * sizeof(int32_t)) == 0);
  }
}
