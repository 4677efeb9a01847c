#include "runtime/engine/plan_channel.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;
using namespace std::chrono_literals;

namespace {

// A plan with `words` prompt tokens.
StepPlan make_plan(int32_t id, size_t words) {
  StepPlan p{.id = id};
  p.chunks = {{.slot = id % 7, .tokens = std::vector<int32_t>(words)}};
  for (size_t i = 0; i < words; ++i) p.chunks[0].tokens[i] = static_cast<int32_t>(i) * id;
  p.decode = {{id, 2 * id}};
  return p;
}

// Sends on rank 0, receives elsewhere; returns what this rank has then.
StepPlan pass(PlanChannel& channel, const StepPlan& plan) {
  if (world().rank() > 0) return channel.receive();
  channel.send(plan);
  return plan;
}

}  // namespace

TEST_CASE("plan channel: plans of all lengths, around the border of one message") {
  PlanChannel channel(world());
  std::vector<size_t> lengths{0, 1, 100, 20'000, 3, 1'000'000, 0, 5};
  for (size_t words = 960; words < 1000; ++words) lengths.push_back(words);
  int32_t id = 0;
  for (size_t words : lengths) {
    StepPlan plan = make_plan(++id, words);
    CHECK(pass(channel, plan).encode() == plan.encode());
  }
}

TEST_CASE("plan channel: signals without rows") {
  PlanChannel channel(world());
  for (auto kind : {StepPlan::Kind::kIdle, StepPlan::Kind::kStep, StepPlan::Kind::kStop}) {
    StepPlan got = pass(channel, {.kind = kind});
    CHECK(got.kind == kind);
    CHECK(got.num_tokens() == 0);
  }
}

TEST_CASE("plan channel: whoever is late gets every plan, in order") {
  PlanChannel channel(world());
  for (int32_t id = 1; id <= 60; ++id) {
    if (world().rank() == world().size() - 1 && id % 20 == 0) std::this_thread::sleep_for(20ms);
    CHECK(pass(channel, make_plan(id, static_cast<size_t>(id) * 100)).id == id);
  }
}

TEST_CASE("plan channel: a group of one sends nothing") {
  MpiGroup self;
  PlanChannel channel(self);
  channel.send(make_plan(1, 10'000));
}
