// Every legal grid of all GPUs of the job, with few layers of Qwen2.5's shapes, gives one GPU's
// logits.
#include <doctest/doctest.h>

#include "tests/gpu/shapes.h"
#include "tests/support/compare.h"
#include "tests/support/grids.h"

using namespace ll;
using namespace ll::test;

namespace {

// A prompt, a chunk behind it, and tokens one by one: longer than a page on every rank, and
// shorter than a row for each.
std::vector<std::vector<float>> answers(TestModel& m, bool gathered) {
  std::vector<std::vector<float>> all;
  int32_t position = 0;
  for (int32_t count : {333, 75, 1, 1, 2}) {
    all.push_back(last_logits(m, make_prompt(count), position, gathered));
    position += count;
  }
  return all;
}

}  // namespace

TEST_CASE("grids: all legal ones, stationary and gathered, give one GPU's logits") {
  for (std::string shape : {"0.5b", "7b"}) {
    ModelConfig config = config_of(shape);
    config.num_layers = 2;
    auto want = [&] {
      TestModel one(config, DType::bf16, 11, MpiGroup());
      return answers(one, false);
    }();
    for (const GridShape& grid : legal_grids(config, mpi().world().size())) {
      TestModel all(config, DType::bf16, 11, mpi().world(), {grid, {}, {}, {}});
      for (bool gathered : {false, true}) {
        if (gathered && grid.z == 1) continue;
        CAPTURE(shape);
        CAPTURE(grid.str());
        CAPTURE(gathered);
        auto got = answers(all, gathered);
        for (size_t i = 0; i < want.size(); ++i) {
          CAPTURE(i);
          // Each may be off by the tolerance.
          CHECK(relative_error(std::span<const float>(got[i]), std::span<const float>(want[i])) <
                2 * tolerance(DType::bf16).logits);
        }
      }
    }
  }
}
