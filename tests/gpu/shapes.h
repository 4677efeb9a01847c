#pragma once
// Models in the shapes of Qwen2.5 with random weights, at the level of steps.
#include <string>
#include <vector>

#include "model/files/weight_store.h"
#include "tests/support/test_model.h"
#include "tests/support/test_paths.h"

namespace ll::test {

inline ModelConfig config_of(const std::string& shape) {
  return load_config_only(repository_path("perf/models/qwen2.5-" + shape));
}

inline std::vector<int32_t> make_prompt(int32_t length) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < length; ++i) ids.push_back((i * i * 7 + i * 131 + 5) % 150000);
  return ids;
}

// Those of the last row.
inline std::vector<float> last_logits(TestModel& m, const std::vector<int32_t>& tokens,
                                      int32_t first, bool gathered = false) {
  TensorView hidden = m.forward(tokens, first, gathered);
  return m.logits(hidden.rows(hidden.dim(0) - 1, 1));
}

}  // namespace ll::test
