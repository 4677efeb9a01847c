#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <random>
#include <unordered_map>

#include "base/check.h"
#include "runtime/schedule/scheduler.h"
#include "tests/unit/runtime/schedule/scheduler_simulation.h"

using namespace ll;
using namespace ll::test;

// Every group that there is; the paper device checks them.
constexpr PrefixRules kAnyGroup{.min_rows = 2, .min_pages = 1};

TEST_CASE("answers do not depend on radix, page size, memory, batch, chunking or lag") {
  std::mt19937 rng(1);
  for (bool radix : {true, false})
    for (int64_t page_span : {1, 4, 16})
      for (int64_t positions : {96, 400, 4000})
        for (int32_t max_num_seqs : {1, 3, 20})
          for (bool chunked : {true, false})
            for (size_t lag : {0, 1}) {
              CAPTURE(radix);
              CAPTURE(page_span);
              CAPTURE(positions);
              CAPTURE(max_num_seqs);
              CAPTURE(chunked);
              CAPTURE(lag);
              SchedulerOptions o{.max_num_seqs = max_num_seqs,
                                 .max_num_batched_tokens = chunked ? 24 : 96,
                                 .chunked_prefill = chunked,
                                 .radix = radix,
                                 .num_pages = positions / page_span,
                                 .page_span = page_span,
                                 .prefix_groups = kAnyGroup};
              Simulation sim(o, lag, true);
              for (int64_t id = 0; id < 25; ++id) {
                int32_t n = id % 5 == 0   ? 3
                            : id % 7 == 0 ? 8
                                          : 1;  // in waves where there are fewer slots
                auto request = make_request(id, random_prompt(rng, 60),
                                            static_cast<int32_t>(1 + rng() % 30), n);
                if (id % 3 == 0) request->params.bad_words = bad_words_of(static_cast<int32_t>(id));
                sim.add(request);
              }
              sim.run_to_end();
            }
}

TEST_CASE("random arrivals and cancellations keep every invariant") {
  std::mt19937 rng(2);
  for (int round = 0; round < 12; ++round) {
    SchedulerOptions o{.max_num_seqs = 8,
                       .max_num_batched_tokens = 40,
                       .busy_scale = round % 2 ? 0.5 : 1.0,
                       .num_pages = 60,
                       .page_span = 4,
                       .prefix_groups = kAnyGroup,
                       .drafts = {.max_drafts = round < 8 ? 0 : 3, .is_adaptive = false}};
    Simulation sim(o, 1, true);
    int64_t id = 0;
    for (int i = 0; i < 600; ++i) {
      if (rng() % 3 == 0) {
        auto request =
            make_request(id++, random_prompt(rng, 70), static_cast<int32_t>(1 + rng() % 40),
                         static_cast<int32_t>(1 + rng() % 3));
        if (round >= 4) request->priority = static_cast<int32_t>(rng() % 3) - 1;
        sim.add(std::move(request));
      }
      if (rng() % 11 == 0 && id > 0)
        sim.scheduler.cancel(static_cast<int64_t>(rng() % static_cast<uint64_t>(id)));
      sim.step();
    }
    while (sim.scheduler.has_work()) sim.step();
    sim.step();
    sim.scheduler.check_integrity();
    CHECK(sim.scheduler.stats().kv_usage == 0);
    if (o.busy_scale == 1.0 && round < 8) CHECK(sim.scheduler.stats().num_preemptions > 0);
    if (round < 8) {
      CHECK(sim.device().num_groups > 100);
      CHECK(sim.device().num_nested > 10);
    } else {
      CHECK(sim.device().num_accepted > 100);
    }
  }
}

TEST_CASE("a hundred thousand requests take seconds and leak no page") {
  std::mt19937 rng(3);
  SchedulerOptions o{.max_num_seqs = 256,
                     .max_num_batched_tokens = 8192,
                     .num_pages = 4000,
                     .page_span = 64,
                     .prefix_groups = {.min_rows = 4, .min_pages = 1}};
  Simulation sim(o, 1, false);
  auto start = std::chrono::steady_clock::now();
  for (int64_t id = 0; id < 100'000; ++id) {
    std::vector<int32_t> prompt(100 + rng() % 100);
    for (size_t i = 0; i < prompt.size(); ++i)
      prompt[i] = i < 64 ? static_cast<int32_t>(1 + id % 20)
                         : static_cast<int32_t>(1 + rng() % (kVocab - 1));
    sim.add(make_request(id, std::move(prompt), 20));
  }
  sim.run_to_end();
  sim.scheduler.check_integrity();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  MESSAGE("100,000 requests: ", seconds, " s");
  auto stats = sim.scheduler.stats();
  CHECK(stats.kv_usage == 0);
  CHECK(stats.cached_tokens > 60 * 99'000);
}

TEST_CASE("a shared prefix is computed once, from the very first step") {
  SchedulerOptions o{
      .max_num_seqs = 64, .max_num_batched_tokens = 8192, .num_pages = 400, .page_span = 16};
  Simulation sim(o, 1, true);
  for (int64_t id = 0; id < 32; ++id) {
    std::vector<int32_t> prompt(160, 3);
    prompt.push_back(static_cast<int32_t>(4 + id));
    sim.add(make_request(id, prompt, 5));
  }
  sim.step();
  auto stats = sim.scheduler.stats();
  CHECK(stats.num_running == 32);
  CHECK(stats.cached_tokens == 31 * 160);
  CHECK(sim.max_rows == 161 + 31);
  sim.run_to_end();
}

TEST_CASE("n answers share their prompt's pages") {
  SchedulerOptions o{.max_num_seqs = 8,
                     .max_num_batched_tokens = 512,
                     .radix = false,
                     .num_pages = 40,
                     .page_span = 16,
                     .prefix_groups = kAnyGroup};
  Simulation sim(o, 1, true);
  sim.add(make_request(1, std::vector<int32_t>(200, 5), 10, 8));
  sim.run_to_end();
  CHECK(sim.device().num_groups > 0);
  CHECK(sim.max_rows == 200);  // 8 x 13 pages of prompt alone would not fit
}

TEST_CASE("a match inside a page is copied, not recomputed") {
  SchedulerOptions o{
      .max_num_seqs = 4, .max_num_batched_tokens = 512, .num_pages = 40, .page_span = 64};
  Simulation sim(o, 0, true);
  sim.add(make_request(0, std::vector<int32_t>(100, 7), 4));
  sim.run_to_end();
  sim.add(make_request(1, std::vector<int32_t>(90, 7), 4));
  sim.run_to_end();
  CHECK(sim.scheduler.stats().cached_tokens == 89);
}

TEST_CASE("the copy of a page is not in the way of its own sequence when memory is just enough") {
  SchedulerOptions o{
      .max_num_seqs = 2, .max_num_batched_tokens = 64, .num_pages = 2, .page_span = 4};
  for (size_t lag : {0, 1}) {
    Simulation sim(o, lag, true);
    sim.add(make_request(0, {1, 2, 3, 4, 5, 6}, 2));
    sim.run_to_end();
    sim.add(make_request(1, {1, 2, 3, 4, 5, 9}, 2));
    sim.run_to_end();
  }
}

// The leader's answer ends at once, the others' do not.
std::shared_ptr<Request> make_forking_request(int64_t& id, const std::vector<int32_t>& prompt) {
  for (;; ++id) {
    auto r = make_request(id, prompt, 6, 3);
    auto length = [&](int32_t index) { return PaperDevice::answer(*r, index, kVocab).size(); };
    if (length(0) == 1 && length(1) == 6 && length(2) == 6) return ++id, r;
  }
}

TEST_CASE("a page that was copied from in a step is not copied to in the same step") {
  for (size_t lag : {0, 1}) {
    SchedulerOptions o{.max_num_seqs = 16,
                       .max_num_batched_tokens = 512,
                       .radix = false,
                       .num_pages = 60,
                       .page_span = 16};
    Simulation sim(o, lag, true);
    int64_t id = 0;
    for (int i = 0; i < 4; ++i) sim.add(make_forking_request(id, std::vector<int32_t>(21, 1 + i)));
    sim.run_to_end();
  }
}

TEST_CASE("short prompts do not overtake a long one for ever when prompts are not cut") {
  SchedulerOptions o{.max_num_seqs = 32,
                     .max_num_batched_tokens = 64,
                     .chunked_prefill = false,
                     .num_pages = 200,
                     .page_span = 16};
  Simulation sim(o, 0, true);
  auto add = [&](int64_t id, size_t length, int32_t max_tokens) {
    auto r = make_request(id, std::vector<int32_t>(length, static_cast<int32_t>(id % 40 + 1)),
                          max_tokens);
    r->params.ignore_eos = true;
    sim.add(r);
  };
  auto add_short = [&](int64_t id) { add(id, 2, static_cast<int32_t>(20 + id % 17)); };
  int64_t id = 0;
  for (; id < 32; ++id) add_short(id);
  int64_t long_one = id++;
  add(long_one, 58, 4);
  for (; id < 400; ++id) add_short(id);
  sim.run_to_end();
  auto order = std::find(sim.finished_ids.begin(), sim.finished_ids.end(), long_one);
  CHECK(order - sim.finished_ids.begin() < 100);
}

TEST_CASE("memory that the longest request just fills is enough, whatever ran before") {
  std::mt19937 rng(4);
  for (int round = 0; round < 300; ++round) {
    auto page_span = static_cast<int64_t>(1 + rng() % 8);
    auto num_pages = static_cast<int64_t>(1 + rng() % 6);
    auto capacity = static_cast<int32_t>(page_span * num_pages);
    SchedulerOptions o{.max_num_seqs = static_cast<int32_t>(1 + rng() % 4),
                       .max_num_batched_tokens = capacity + 4,
                       .chunked_prefill = rng() % 2 == 0,
                       .radix = rng() % 4 != 0,
                       .num_pages = num_pages,
                       .page_span = page_span};
    CAPTURE(round);
    Simulation sim(o, rng() % 2, true);
    for (int64_t id = 0; id < 30; ++id) {
      auto prompt = random_prompt(rng, capacity);
      auto room = static_cast<uint32_t>(capacity + 1) - static_cast<uint32_t>(prompt.size());
      auto n = static_cast<int32_t>(1 + rng() % static_cast<uint32_t>(o.max_num_seqs));
      int32_t max_tokens = static_cast<int32_t>(rng() % 2 ? room : 1 + rng() % room);
      sim.add(make_request(id, std::move(prompt), max_tokens, n));
    }
    sim.run_to_end();
  }
}

TEST_CASE("prompts that are scored, and so computed again, leave memory to those that run") {
  std::mt19937 rng(6);
  for (int round = 0; round < 600; ++round) {
    auto page_span = static_cast<int64_t>(1 + rng() % 8);
    auto num_pages = static_cast<int64_t>(1 + rng() % 10);
    auto capacity = static_cast<int32_t>(page_span * num_pages);
    auto max_num_seqs = static_cast<int32_t>(1 + rng() % 4);
    SchedulerOptions o{.max_num_seqs = max_num_seqs,
                       .max_num_batched_tokens = max_num_seqs + static_cast<int32_t>(rng() % 24),
                       .radix = rng() % 8 != 0,
                       .num_pages = num_pages,
                       .page_span = page_span,
                       .prefix_groups = kAnyGroup};
    CAPTURE(round);
    Simulation sim(o, rng() % 2, true);
    std::vector<std::vector<int32_t>> prompts;
    for (int64_t id = 0; id < 16; ++id) {
      bool is_known = !prompts.empty() && rng() % 2 == 0;
      auto prompt = is_known ? prompts[rng() % prompts.size()] : random_prompt(rng, capacity);
      prompts.push_back(prompt);
      auto room = static_cast<uint32_t>(capacity + 1) - static_cast<uint32_t>(prompt.size());
      auto n = static_cast<int32_t>(1 + rng() % static_cast<uint32_t>(max_num_seqs));
      int32_t max_tokens = static_cast<int32_t>(rng() % 2 ? room : 1 + rng() % room);
      auto request = make_request(id, std::move(prompt), max_tokens, n);
      if (rng() % 2) request->params.prompt_logprobs = 0;
      if (round % 2) request->priority = static_cast<int32_t>(rng() % 3);
      sim.add(request);
    }
    sim.run_to_end();
  }
}

TEST_CASE("two scored prompts that are the same are both answered") {
  SchedulerOptions o{
      .max_num_seqs = 16, .max_num_batched_tokens = 64, .num_pages = 10, .page_span = 64};
  for (size_t lag : {0, 1}) {
    Simulation sim(o, lag, true);
    for (int64_t id : {0, 1}) {
      auto request = make_request(id, std::vector<int32_t>(401, 3), 1);
      request->params.prompt_logprobs = 0;
      sim.add(request);
    }
    sim.run_to_end();
  }
}

TEST_CASE("what has a lower priority number begins earlier, and gives way later") {
  auto request = [](int64_t id, int32_t priority, int32_t max_tokens) {
    auto r = make_request(id, std::vector<int32_t>(16, static_cast<int32_t>(1 + id)), max_tokens);
    r->params.ignore_eos = true;
    r->priority = priority;
    return r;
  };
  SchedulerOptions o{
      .max_num_seqs = 1, .max_num_batched_tokens = 64, .num_pages = 100, .page_span = 4};
  Simulation one(o, 1, true);
  int32_t priorities[] = {0, 1, 1, -5, 0, INT32_MIN, INT32_MAX};
  for (int64_t id = 0; id < 7; ++id) one.add(request(id, priorities[id], 4));
  one.run_to_end();
  CHECK(one.finished_ids == std::vector<int64_t>{5, 3, 0, 4, 1, 2, 6});
  // Memory for two at their ends: of three that begin together, the least urgent starts over.
  o = {.max_num_seqs = 3,
       .max_num_batched_tokens = 64,
       .radix = false,
       .busy_scale = 1,
       .num_pages = 26,
       .page_span = 4};
  Simulation three(o, 1, true);
  for (int64_t id : {0, 1, 2}) three.add(request(id, id == 0 ? 1 : 0, 24));
  three.run_to_end();
  CHECK(three.scheduler.stats().num_preemptions > 0);
  CHECK(three.finished_ids == std::vector<int64_t>{1, 2, 0});
}

TEST_CASE("what can never run is refused at once") {
  SchedulerOptions o{.max_num_seqs = 4,
                     .max_num_batched_tokens = 64,
                     .chunked_prefill = false,
                     .num_pages = 10,
                     .page_span = 16};
  Scheduler s(o);
  CHECK_THROWS_WITH_AS(s.add(make_request(0, {}, 1)), "the prompt has no tokens", Error);
  CHECK_THROWS_AS(s.add(make_request(0, std::vector<int32_t>(150, 1), 12)), Error);
  CHECK_THROWS_AS(s.add(make_request(0, std::vector<int32_t>(60, 1), 6)), Error);
  CHECK(!s.has_work());
}

TEST_CASE("the state in words") {
  Scheduler s({.max_num_seqs = 4, .max_num_batched_tokens = 24, .num_pages = 10, .page_span = 16});
  CHECK(s.describe_state() ==
        "0 waiting, 0 running; 10 KV pages of 16 positions: 10 free, 0 held by running sequences, "
        "0 kept by the cache alone");
  s.add(make_request(7, std::vector<int32_t>(40, 3), 4));
  s.add(make_request(8, std::vector<int32_t>(40, 4), 4));
  PlannedStep step = s.plan();
  CHECK(s.describe_state() ==
        "1 waiting, 1 running; 10 KV pages of 16 positions: 8 free, 2 held by running sequences, "
        "0 kept by the cache alone; request 7 choice 0: prefilling, 24 of 40 tokens computed, 0 in "
        "flight, 2 pages, 0 shared");
  for (int64_t id : {7, 8}) s.cancel(id);
}

TEST_CASE("a sequence for which no token is drawn ends there, and frees its pages") {
  Scheduler scheduler(
      {.max_num_seqs = 4, .max_num_batched_tokens = 64, .num_pages = 20, .page_span = 4});
  scheduler.add(make_request(1, {5, 6, 7}, 10, 1));
  scheduler.add(make_request(2, {8, 9}, 10, 1));
  PlannedStep step = scheduler.plan();
  REQUIRE(step.plan.samples.size() == 2);
  PlannedStep ahead = scheduler.plan();  // planned before anything is known of the first
  StepEvents events = scheduler.commit(std::move(step), {.tokens = {kUndrawnToken, 3}});
  REQUIRE(events.tokens.size() == 2);
  CHECK(events.tokens[0].sequence == SequenceId{1, 0});
  CHECK(events.tokens[0].finish_reason == FinishReason::kFailed);
  CHECK(events.tokens[1].finish_reason == FinishReason::kNone);
  events = scheduler.commit(std::move(ahead), {.tokens = {kUndrawnToken, 4}});
  REQUIRE(events.tokens.size() == 1);
  CHECK(events.tokens[0].sequence == SequenceId{2, 0});
  scheduler.check_integrity();
  CHECK(scheduler.stats().num_running == 1);
  scheduler.end({2, 0});
  CHECK_FALSE(scheduler.has_work());
}
