#include "runtime/planning/default_sequences.h"

#include <doctest/doctest.h>

#include "model/files/weight_store.h"
#include "tests/support/test_paths.h"

using namespace ll;

namespace {

int sequences(const std::string& model, double gigabytes, int ranks) {
  ModelConfig config = load_config_only(test::repository_path("perf/models/qwen2.5-" + model));
  return default_num_seqs(config, DType::bf16,
                          {.available = static_cast<size_t>(0.9e9 * gigabytes)}, ranks);
}

}  // namespace

TEST_CASE("sequences at a time: as many as memory is for, a thousand tokens each") {
  for (std::string model : {"0.5b", "1.5b", "7b"}) CHECK(sequences(model, 141, 1) == 1024);
  CHECK(sequences("7b", 80, 1) == 512);
  CHECK(sequences("7b", 24, 1) == 256);
  CHECK(sequences("0.5b", 24, 1) == 512);
  CHECK(sequences("72b", 141, 1) == 256);  // does not fit
  CHECK(sequences("72b", 141, 2) == 256);
  CHECK(sequences("72b", 141, 8) == 1024);
}
