#pragma once
// A scheduler that runs against the paper device, and requests for it.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/schedule/scheduler.h"
#include "tests/support/paper_device.h"

namespace ll::test {

constexpr int32_t kVocab = 50;

inline std::shared_ptr<Request> make_request(int64_t id, std::vector<int32_t> prompt,
                                             int32_t max_tokens, int32_t n = 1) {
  auto r = std::make_shared<Request>();
  r->id = id;
  r->prompt = std::move(prompt);
  r->params.max_tokens = max_tokens;
  r->params.n = n;
  r->params.seed = static_cast<uint64_t>(id) * 77;
  r->eos_token_ids = {0};
  return r;
}

// So many words of two tokens, and behind each a longer one, that answers run into them.
inline std::vector<std::vector<int32_t>> bad_words_of(int32_t seed) {
  std::vector<std::vector<int32_t>> words;
  for (int32_t first = 1; first < kVocab; ++first)
    for (int32_t k = 0; k < 6; ++k) {
      int32_t second = 1 + (first * 5 + k * 8 + seed) % (kVocab - 1);
      words.push_back({first, second});
      words.push_back({first, 1 + second % (kVocab - 1), second});
    }
  return words;
}

// Runs a scheduler against the paper device, committing `lag` steps late, and checks every answer.
class Simulation {
 public:
  Simulation(const SchedulerOptions& options, size_t lag, bool check_each_step)
      : scheduler(options),
        device_(options.num_pages, options.page_span, options.max_num_seqs, kVocab),
        options_(options),
        lag_(lag),
        check_each_step_(check_each_step) {}

  void add(std::shared_ptr<Request> r) {
    expected_ += r->params.n;
    requests_[r->id] = r;
    scheduler.add(std::move(r));
  }

  void step() {
    PlannedStep planned = scheduler.plan();
    if (check_each_step_) scheduler.check_integrity();
    REQUIRE(planned.plan.num_tokens() <= options_.max_num_batched_tokens);
    bool idle = planned.is_empty();
    if (!idle) {
      max_rows = std::max(max_rows, planned.plan.num_tokens());
      auto tokens = device_.run(planned.plan);
      flying_.emplace_back(std::move(planned), std::move(tokens));
    }
    bool rests = idle && flying_.empty() && !planned.has_preempted;
    CAPTURE(scheduler.describe_state());
    REQUIRE((!rests || !scheduler.has_work()));
    while (flying_.size() > (idle ? 0 : lag_)) {
      auto [done, tokens] = std::move(flying_.front());
      flying_.pop_front();
      StepResult result{.tokens = std::move(tokens)};
      result.prompt_logprobs.resize(done.scored.size());
      take(scheduler.commit(std::move(done), std::move(result)));
      if (check_each_step_) scheduler.check_integrity();
    }
  }

  void run_to_end() {
    for (int64_t steps = 0; scheduler.has_work() || !flying_.empty(); ++steps) {
      step();
      REQUIRE(steps < 10'000'000);
    }
    CHECK(num_finished == expected_);
  }

  const PaperDevice& device() const { return device_; }

  Scheduler scheduler;
  int64_t num_finished = 0;
  std::vector<int64_t> finished_ids;
  int32_t max_rows = 0;

 private:
  // Reads the events itself instead of asking a Desk: they are what is tested here, and the Desk
  // forgives some that the scheduler must not send, such as tokens behind an end.
  void take(const StepEvents& events) {
    for (const DrawnToken& t : events.tokens) {
      answers_[t.sequence].push_back(t.token);
      if (t.finish_reason != FinishReason::kNone) finished(t);
    }
  }

  void finished(const DrawnToken& last) {
    ++num_finished;
    finished_ids.push_back(last.sequence.request);
    const Request& request = *requests_.at(last.sequence.request);
    auto want = PaperDevice::answer(request, last.sequence.index, kVocab);
    REQUIRE(answers_.extract(last.sequence).mapped() == want);
    bool stops = want.back() == 0 && !request.params.ignore_eos;
    REQUIRE(last.finish_reason == (stops ? FinishReason::kStop : FinishReason::kLength));
  }

  PaperDevice device_;
  SchedulerOptions options_;
  size_t lag_;
  bool check_each_step_;
  int64_t expected_ = 0;
  std::unordered_map<int64_t, std::shared_ptr<const Request>> requests_;  // by id
  std::map<SequenceId, std::vector<int32_t>> answers_;                    // that have not ended
  std::deque<std::pair<PlannedStep, std::vector<int32_t>>> flying_;
};

inline std::vector<int32_t> random_prompt(std::mt19937& rng, int32_t max_length) {
  // Few distinct tokens and a few common heads, so that prefixes are shared at every depth.
  static const std::vector<std::vector<int32_t>> kHeads{
      {}, std::vector<int32_t>(40, 1), std::vector<int32_t>(7, 2)};
  auto prompt = kHeads[rng() % kHeads.size()];
  auto length = static_cast<size_t>(1 + rng() % static_cast<uint32_t>(max_length));
  while (prompt.size() < length) prompt.push_back(static_cast<int32_t>(1 + rng() % 2));
  prompt.resize(
      std::min<size_t>(std::max<size_t>(prompt.size(), 1), static_cast<size_t>(max_length)));
  return prompt;
}

}  // namespace ll::test
