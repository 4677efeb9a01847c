#include "runtime/schedule/draft_policy.h"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using namespace ll;

namespace {

using Tokens = std::vector<int32_t>;
using Candidates = std::vector<DraftPolicy::Candidate>;

constexpr DraftOptions kOptions{.max_drafts = 7, .min_match = 2};

// Steps of one sequence and eight rows take 1 and `of_eight` by now.
DraftPolicy timed(double of_eight) {
  DraftPolicy policy(kOptions);
  for (int i = 0; i < 40; ++i)
    policy.took(1, i < 3 ? 90 : 1), policy.took(8, i < 3 ? 90 : of_eight);
  return policy;
}

// Draws the tokens behind the first two.
int32_t draw_all(DraftPolicy& policy, const Tokens& tokens) {
  int32_t run = 0;
  for (size_t i = 3; i <= tokens.size(); ++i) policy.saw(std::span(tokens).first(i), run);
  return run;
}

Tokens random_tokens(size_t count) {
  std::mt19937 rng(3);
  Tokens tokens(count);
  for (int32_t& t : tokens) t = static_cast<int32_t>(rng() % 100'000);
  return tokens;
}

Tokens repeated(size_t count) {
  Tokens tokens;
  for (size_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(i % 50));
  return tokens;
}

}  // namespace

TEST_CASE("a text that does not repeat itself gets no drafts, one that does gets many") {
  DraftPolicy policy = timed(1.2);
  CHECK(policy.choose(Candidates{{0}}, 7) == 0);
  int32_t run = draw_all(policy, random_tokens(3000));
  CHECK(run == 0);
  CHECK(policy.likelihood(0) < 0.02);
  CHECK(policy.choose(Candidates{{run}}, 7) == 0);
  run = draw_all(policy, repeated(3000));
  CHECK(run > 2900);
  CHECK(policy.likelihood(8) > 0.95);
  CHECK(policy.choose(Candidates{{run}}, 7) == 7);
  CHECK(policy.choose(Candidates{{run}}, 3) == 3);
  CHECK(policy.choose(Candidates{{run}}, 0) == 0);
  // A step under way hardly ends the run, but what comes behind no run is not likely to be one.
  CHECK(policy.choose(Candidates{{run, 0}}, 7) == 7);
  CHECK(policy.choose(Candidates{{0, 0}}, 7) == 0);
}

TEST_CASE("what is in a prompt counts as said") {
  DraftPolicy policy(kOptions);
  Tokens text = random_tokens(200);
  policy.learn(text);
  CHECK(draw_all(policy, text) == 198);
}

TEST_CASE("drafts are for steps that hardly take longer with them") {
  DraftPolicy slow = timed(7.9);
  int32_t run = draw_all(slow, repeated(3000));
  CHECK(slow.choose(Candidates{{run}}, 7) == 0);
  // Eight sequences that say new things: sixteen rows are as good as eight, but bring little.
  DraftPolicy policy = timed(1.2);
  run = draw_all(policy, repeated(3000));
  draw_all(policy, random_tokens(3000));
  Candidates most_new(8);
  for (int i = 0; i < 40; ++i) policy.took(16, 1.25), policy.took(64, 3);
  CHECK(policy.choose(most_new, 7) == 0);
  Candidates all_going(8, {run});
  CHECK(policy.choose(all_going, 7) == 7);
}

TEST_CASE("until it is known what a step takes, there are no drafts") {
  DraftPolicy policy(kOptions);
  int32_t run = draw_all(policy, repeated(3000));
  CHECK(policy.choose(Candidates{{run}}, 7) == 0);
  for (int i = 0; i < 3; ++i) policy.took(1, 1);
  CHECK(policy.choose(Candidates{{run}}, 7) == 0);  // those do not count
  policy.took(1, 1);
  CHECK(policy.choose(Candidates{{run}}, 7) == 7);  // to be tried
  for (int i = 0; i < 4; ++i) policy.took(8, 9);
  CHECK(policy.choose(Candidates{{run}}, 7) < 7);
}
