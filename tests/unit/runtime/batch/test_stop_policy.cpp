#include "runtime/batch/stop_policy.h"

#include <doctest/doctest.h>

#include <csignal>

#include "runtime/batch/token_rate.h"

using namespace ll;
using namespace std::chrono_literals;

namespace {

constexpr StopPolicy::Clock::time_point kStart(1000s);

struct Rig {
  int signal = 0;
  StopPolicy::Options options{.grace = 20s, .signal = [this] { return signal; }};
};

}  // namespace

TEST_CASE("stop: never, unless there is a reason") {
  Rig rig;
  StopPolicy policy(rig.options);
  CHECK_FALSE(policy.check(kStart));
  rig.signal = SIGUSR1;
  auto stop = policy.check(kStart);
  REQUIRE(stop);
  CHECK(stop->reason == "SIGUSR1 came");
  CHECK(stop->end == kStart + 20s);
}

TEST_CASE("stop: so long before a time limit that work ends and ranks take leave") {
  Rig rig;
  rig.options.time_limit = {.end = kStart + 100s, .name = "the time limit of Slurm job 7"};
  StopPolicy policy(rig.options);
  CHECK_FALSE(policy.check(kStart + 74s));
  auto stop = policy.check(kStart + 75s);
  REQUIRE(stop);
  CHECK(stop->reason == "the time limit of Slurm job 7 is near");
  CHECK(stop->end == kStart + 95s);
  rig.signal = SIGTERM;  // what is left is less than the grace
  CHECK(policy.check(kStart + 80s)->end == kStart + 95s);
  CHECK(policy.check(kStart + 10s)->end == kStart + 30s);
}

TEST_CASE("stop: after the user's time") {
  Rig rig;
  rig.options.stop_after = {.end = kStart + 60s, .name = "job.stop_after = 60 s"};
  StopPolicy policy(rig.options);
  CHECK_FALSE(policy.check(kStart + 59s));
  CHECK(policy.check(kStart + 60s)->reason == "job.stop_after = 60 s is over");
  CHECK(policy.check(kStart + 60s)->end == kStart + 80s);
}

TEST_CASE("rate: tokens of a running answer, whatever the number of answers") {
  TokenRate rate;
  auto now = kStart;
  int64_t tokens = 0;
  rate.update(now, tokens, 0);
  CHECK(rate.per_answer() == 0);
  for (int64_t running : {1, 8, 3}) {
    for (int i = 0; i < 20; ++i) {
      now += 100ms;
      tokens += 5 * running;
      rate.update(now, tokens, running);
    }
    CHECK(rate.per_answer() == doctest::Approx(50));
  }
  now += 10s;  // nothing runs, so nothing is learned
  rate.update(now, tokens, 0);
  rate.update(now + 1s, tokens, 0);
  CHECK(rate.per_answer() == doctest::Approx(50));
}
