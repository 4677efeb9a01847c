#pragma once

namespace ll::test {

constexpr float kNormEps = 1e-6f;  // as in Qwen2.5

}  // namespace ll::test
