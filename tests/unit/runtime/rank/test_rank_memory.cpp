#include "runtime/rank/rank_memory.h"

#include <doctest/doctest.h>

#include "runtime/engine/model_runner.h"
#include "runtime/planning/grid_planner.h"
#include "tests/support/counting_device.h"
#include "tests/support/device.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Setup {
  ModelConfig model = parse_model_config(small_config(true, "float32"), "test");
  ModelShard shard = shard_of(model, {}, {});
  EngineConfig config;
  RunnerOptions options{
      .max_num_seqs = 4, .max_num_batched_tokens = 16, .max_length = 100, .page_size = 8};

  MemoryBudget plan(int local_ranks = 1) const {
    return affordable_memory(config, {model, shard, DType::f32}, options, 1,
                             device_memory(config, backend(), local_ranks));
  }
};

}  // namespace

TEST_CASE("memory: no more pages than all sequences at full length could use") {
  Setup s;
  MemoryBudget b = s.plan();
  CHECK(b.num_pages == 4 * 13);
  CHECK(b.page_bytes == size_t{2 * 2 * 2 * 8 * 16 * 4});  // k and v, layers, KV heads, rows, D
  CHECK(b.kv_bytes() == b.page_bytes * 52);
  CHECK(b.weights ==
        weight_bytes(weight_placements(s.model, s.shard), backend().ops.packed_bytes, DType::f32));
}

TEST_CASE("memory: kv_cache.memory_bytes is what the pages get") {
  Setup s;
  size_t page = s.plan().page_bytes;
  s.config.kv_cache.memory_bytes = 10 * page + page / 2;
  CHECK(s.plan().num_pages == 10);
  s.config.kv_cache.memory_bytes = page;
  CHECK(s.plan().num_pages == 1);
  s.config.kv_cache.memory_bytes = page - 1;
  CHECK(error_of([&] { s.plan(); }) ==
        "kv_cache.memory_bytes: 4095 is less than a page of 8 positions, which takes 4096");
}

TEST_CASE("memory: what does not fit is refused with the numbers") {
  Setup s;
  s.config.kv_cache.memory_bytes = size_t{1} << 59;
  s.options.max_length = int64_t{1} << 30;
  s.options.max_num_seqs = 65536;
  std::string message = error_of([&] { s.plan(); });
  CHECK(contains(message, "not enough memory: weights 0."));
  CHECK(contains(message, "kv_cache.memory_bytes 576460752303.4 MB"));
  CHECK(contains(message, "this rank may use"));
  s.config.kv_cache.memory_bytes = 0;
  s.options.max_num_batched_tokens = 1 << 30;  // activations of terabytes
  message = error_of([&] { s.plan(); });
  CHECK(contains(message, "one KV page of"));
}

TEST_CASE("memory: the ranks of a host share it") {
  Setup s;
  double alone = static_cast<double>(s.plan(1).available),
         four = static_cast<double>(s.plan(4).available);
  CHECK(alone / four > 3.5);
  CHECK(alone / four < 4.5);
}

TEST_CASE("memory: the budget in words") {
  MemoryBudget b{.available = 16'000'000'000,
                 .weights = 988'100'000,
                 .buffers = 120'000'000,
                 .page_bytes = 800'000,
                 .page_span = 64,
                 .num_pages = 5000};
  CHECK(b.str() ==
        "weights 988.1 MB, buffers 120.0 MB, KV cache 4000.0 MB (5000 pages, 320000 tokens) of "
        "16000.0 MB");
  b.graphs = 80'000'000;
  b.in_use = 700'000'000;
  CHECK(b.str() ==
        "weights 988.1 MB, buffers 120.0 MB, graphs 80.0 MB, KV cache 4000.0 MB (5000 pages, "
        "320000 tokens) of 16000.0 MB, 700.0 MB in use before");
}

TEST_CASE("memory: graphs have their share where the device has them") {
  // 0.5 MB of 8 are in use, a tenth is left alone.
  static const auto memory_info = [] { return MemoryInfo{7'500'000, 8'000'000}; };
  Setup s;
  s.options.graph_max_rows = 256;
  const DeviceApi& cpu = backend().device;
  DeviceApi api{cpu.alloc,          cpu.free,          cpu.alloc_host,
                cpu.free_host,      cpu.copy,          cpu.upload,
                cpu.fill,           cpu.create_stream, cpu.create_side_stream,
                cpu.destroy_stream, cpu.synchronize,   cpu.create_event,
                cpu.destroy_event,  cpu.record,        cpu.is_done,
                cpu.wait_host,      cpu.wait_stream,   cpu.elapsed_ms,
                *+memory_info};
  GraphApi graphs{*+[](Stream) {}, *+[](Stream) { return Graph{}; }, *+[](Graph, Stream) {},
                  *+[](Graph) {}};
  Backend gpu{.kind = BackendKind::kCuda,
              .device_name = "paper",
              .device = api,
              .ops = backend().ops,
              .graphs = &graphs,
              .fused_decode = nullptr,
              .fixed_page_size = 8};
  auto plan = [&] {
    return affordable_memory(s.config, {s.model, s.shard, DType::f32}, s.options, 1,
                             device_memory(s.config, gpu, 1));
  };
  MemoryBudget b = plan();
  CHECK(b.in_use == 500'000);
  CHECK(b.available == 7'200'000 - 500'000);
  // Steps of 1, 2 and 4 rows: there are at most four sequences.
  CHECK(b.graphs == 3 * DecodeGraphs::estimated_bytes(1, s.model.num_layers));
  CHECK(b.fixed_bytes() + b.kv_bytes() <= b.available);
  // The planner promises what the run accepts.
  GridQuestion question{
      .dtype = DType::f32, .memory = device_memory(s.config, gpu, 1), .limits = s.options};
  GridAnswer answer = plan_grids(s.model, known_machine("h200").value(), question).at(0);
  CHECK(answer.kv_tokens == b.num_pages * b.page_span);
  CHECK(answer.weights + answer.buffers == b.fixed_bytes());
  // Decode steps in two modes.
  Setup of_two = s;
  of_two.shard = shard_of(s.model, {.z = 2}, {});
  of_two.options.graph_max_rows = 2;
  for (int rows : {0, 2, 3}) {
    of_two.config.gather_tokens = rows;
    auto two = affordable_memory(of_two.config, {s.model, of_two.shard, DType::f32}, of_two.options,
                                 2, device_memory(of_two.config, gpu, 1));
    CHECK(two.graphs == (rows == 2 ? 4 : 2) * DecodeGraphs::estimated_bytes(1, s.model.num_layers));
  }
  s.config.kv_cache.gpu_memory_utilization = 0.2;
  std::string message = error_of([&] { plan(); });
  CHECK(contains(message, fmt::format(", graphs {:.1f} MB and one KV page of", b.graphs / 1e6)));
  CHECK(contains(message,
                 "the 1.1 MB this rank may use (kv_cache.gpu_memory_utilization 0.2 less 0.5 MB "
                 "in use)"));
  s.options.graph_max_rows = 0;
  s.config.kv_cache.gpu_memory_utilization = 0.9;
  CHECK(plan().graphs == 0);
}

TEST_CASE("memory: buckets of graphs end with the most rows there are") {
  GraphApi none{*+[](Stream) {}, *+[](Stream) { return Graph{}; }, *+[](Graph, Stream) {},
                *+[](Graph) {}};
  Backend b = backend();
  b.graphs = &none;
  DecodeGraphs of_five(b, stream(), 5), of_many(b, stream(), 256);
  CHECK(of_five.bucket(1) == 1);
  CHECK(of_five.bucket(3) == 4);
  CHECK(of_five.bucket(5) == 5);  // not 8: there are buffers for five
  CHECK(of_five.bucket(6) == 0);
  CHECK(of_many.bucket(5) == 8);
  CHECK(of_many.bucket(65) == 80);
  CHECK(of_many.bucket(256) == 256);
  CHECK(of_many.bucket(257) == 0);
  CHECK(DecodeGraphs::estimated_bytes(5, 2) == 4 * DecodeGraphs::estimated_bytes(1, 2));
  // 23 buckets of Qwen2.5-7B.
  CHECK(DecodeGraphs::estimated_bytes(256, 28) == 23 * (28 * 16 + 32) * (16 << 10));
}

TEST_CASE("memory: the runner allocates what the budget says, and gives it all back") {
  for (bool tied : {true, false})
    for (DType dtype : {DType::f32, DType::bf16})
      for (int32_t max_num_seqs : {1, 7}) {
        Setup s;
        s.model.tie_word_embeddings = tied;
        s.options.max_num_seqs = max_num_seqs;
        s.options.num_pages = 5;
        Backend counted = CountingDevice::wrap(backend());
        ProcessGrid grid(counted, MpiGroup(), GridShape{});
        auto weights = random_weights(s.model, s.shard, dtype, backend(), stream(), 1);
        REQUIRE(CountingDevice::device_bytes() == 0);
        {
          ModelRunner runner(s.options, counted, grid, stream(), s.model, s.shard,
                             std::move(weights));
          CHECK(CountingDevice::device_bytes() ==
                ModelRunner::buffer_bytes(s.options, {s.model, s.shard, dtype}, 1) +
                    5 * KvCache::page_bytes({s.model, s.shard, dtype}, s.options.page_size));
        }
        CHECK(CountingDevice::device_bytes() == 0);
        CHECK(CountingDevice::host_blocks() == 0);
        CHECK(CountingDevice::events() == 0);
      }
}
