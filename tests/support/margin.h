#pragma once
// The rule by which two runs in bfloat16 are the same: greedy tokens may differ only where the two
// best logits are close; from there on they are not compared.
#include <doctest/doctest.h>

#include "tests/support/compare.h"
#include "tests/support/engine_rig.h"

namespace ll::test {

// `want` has the two best logprobs of every token. Returns how many tokens were compared.
inline size_t check_same_by_margin(const RigAnswer& got, const RigAnswer& want) {
  REQUIRE(got.tokens.size() == want.tokens.size());
  REQUIRE(want.logprobs.size() == want.tokens.size());
  for (size_t i = 0; i < want.tokens.size(); ++i) {
    if (got.tokens[i] == want.tokens[i]) continue;
    const auto& top = want.logprobs[i].top;
    REQUIRE(top.size() == 2);
    CAPTURE(i);
    CHECK(top[0].second - top[1].second < tolerance(DType::bf16).greedy_margin);
    return i;
  }
  return want.tokens.size();
}

}  // namespace ll::test
