#pragma once
// The Desk as rigs use it: a test's requests under its own numbers in, what became of them out.
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "runtime/answers/desk.h"
#include "runtime/schedule/scheduler.h"

namespace ll::test {

struct RigRequest : Request {
  TextParams text;  // stop strings need a tokenizer at the desk
};
using Requests = std::vector<std::shared_ptr<RigRequest>>;

// One of a request's n answers, as far as it has come.
struct RigAnswer {
  std::vector<int32_t> tokens;
  std::vector<TokenLogprob> logprobs;
  FinishReason finish_reason = FinishReason::kNone;
};

struct Outcome {
  std::map<SequenceId, RigAnswer> answers;                       // by the test's numbers
  std::map<int64_t, std::vector<TokenLogprob>> prompt_logprobs;  // by request
  SchedulerStats stats;
  int64_t steps = 0;

  const RigAnswer& answer(int64_t id, int32_t index = 0) const { return answers.at({id, index}); }
  std::map<SequenceId, std::vector<int32_t>> tokens() const {
    std::map<SequenceId, std::vector<int32_t>> all;
    for (const auto& [key, a] : answers) all[key] = a.tokens;
    return all;
  }
};

// The token that ends a text, to models of rigs.
constexpr int32_t kEndOfText = 0;

// In front of an Engine or a ReplicaPool.
template <class Runner>
class RigDesk {
 public:
  // All outlive this. Without a tokenizer answers have no text, and no stop strings.
  RigDesk(Runner& runner, Outcome& outcome, const Tokenizer* tokenizer = nullptr)
      : runner_(runner), outcome_(outcome), desk_(tokenizer, {kEndOfText}) {}

  void submit(const RigRequest& r) {
    CompletionRequest request{.prompts = {r.prompt}, .params = r.params, .text = r.text};
    request.stream = true;  // so that answers that are cancelled are seen as far as they came
    auto to_run = desk_.open(r.id, std::move(request));
    numbers_[r.id] = to_run.at(0)->id;
    open_.insert(r.id);
    if constexpr (requires { runner_.submit(to_run[0]); })
      runner_.submit(to_run[0]);
    else
      runner_.add(to_run[0]);
  }

  // A request that never was, or is no more, is the runner's to ignore.
  void cancel(int64_t id) {
    auto known = numbers_.find(id);
    if (open_.erase(id) > 0) desk_.close(id);
    runner_.cancel(known == numbers_.end() ? id : known->second);
  }

  void step() {
    Desk::Taken taken = desk_.take(runner_.step());
    ensure(taken.failures.empty(), "a token could not be drawn");
    for (SequenceId ended : taken.ends) runner_.end(ended);
    for (Delta& d : taken.deltas) {
      RigAnswer& a = outcome_.answers[{d.key, d.choice}];
      a.tokens.push_back(d.token);
      if (d.logprob) a.logprobs.push_back(std::move(*d.logprob));
      a.finish_reason = d.finish_reason;
    }
    for (Answer& answer : taken.answers) finish(answer);
    ++outcome_.steps;
  }

  bool has_open() const { return desk_.num_open() > 0; }

 private:
  void finish(Answer& answer) {
    open_.erase(answer.key);
    for (const Choice& choice : answer.choices)
      ensure(choice.token_ids == outcome_.answer(answer.key, choice.index).tokens,
             "an answer's deltas are not its tokens");
    const PromptLogprobs& scores = answer.choices.at(0).prompt_logprobs;
    if (scores && !scores->empty()) outcome_.prompt_logprobs[answer.key] = *scores;
  }

  Runner& runner_;
  Outcome& outcome_;
  Desk desk_;
  std::map<int64_t, int64_t> numbers_;  // the engine's, by the test's
  std::set<int64_t> open_;              // by the test's
};

}  // namespace ll::test
