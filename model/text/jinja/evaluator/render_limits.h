#pragma once
#include <cstddef>

namespace ll::jinja {

// What one rendering may take; a template of 10,000 messages takes about 1% of each.
struct RenderLimits {
  size_t steps = 100'000'000;             // of the evaluator and of its builtins
  size_t memory_bytes = size_t{1} << 30;  // of values
  size_t output_bytes = size_t{256} << 20;
};

}  // namespace ll::jinja
