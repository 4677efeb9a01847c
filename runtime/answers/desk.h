#pragma once
// Tokens become answers: takes completion requests and the events of steps, gives what an engine is
// to run, deltas, whole answers and early ends. A pure state machine: knows no engine, rank or
// file.
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/api/answer.h"
#include "runtime/api/completion.h"
#include "runtime/schedule/step_events.h"

namespace ll {

// All choices of a request have ended.
struct Answer {
  int64_t key = 0;
  CompletionRequest request;
  std::vector<Choice> choices;  // by index
  Usage usage;
};

// A request for which no token could be drawn.
struct Failure {
  int64_t key = 0;
  Cost cost;  // where it is counted
  std::vector<int64_t> engine_requests;
};
constexpr std::string_view kNoTokenDrawn =
    "no token could be drawn: of those that the request allows none has a logit that is a number; "
    "the weights may be damaged, see litelang verify";

class Desk {
 public:
  // The tokenizer outlives the desk; null: answers have tokens and no text.
  Desk(const Tokenizer* tokenizer, std::vector<int32_t> eos_token_ids);
  ~Desk();

  // Opens a request under a key of the caller's, which no open request has. Returns what is to run
  // for it: one engine request a prompt, numbered in the order of their opening.
  std::vector<std::shared_ptr<const Request>> open(int64_t key, CompletionRequest request);

  struct Taken {
    std::vector<Delta> deltas;    // of requests that stream, in the order of their tokens
    std::vector<Answer> answers;  // in the order of their ends
    // Sequences that a stop string ended: whoever runs them is told before the next step. Tokens
    // that come all the same are ignored.
    std::vector<SequenceId> ends;
    // Requests that came to nothing, kNoTokenDrawn says why. They are closed; their engine requests
    // need not run on.
    std::vector<Failure> failures;
  };
  Taken take(StepEvents events);

  // Forgets an open request. Returns its engine requests, which need not run on; events of theirs
  // that come all the same are ignored.
  std::vector<int64_t> close(int64_t key);

  // How far an open request is.
  struct Progress {
    int64_t key = 0;
    int64_t num_drawn = 0;      // tokens of all its choices
    int64_t num_remaining = 0;  // at most, of the choice that has most of them ahead
    Cost cost;                  // where it is counted
  };
  std::vector<Progress> progress() const;

  // What steps cost whose requests have all ended, while no other has paid for it.
  const Cost& unshared_cost() const { return unshared_; }

  int64_t num_open() const { return static_cast<int64_t>(jobs_.size()); }
  // Tokens of all answers so far.
  int64_t num_output_tokens() const { return num_output_tokens_; }

 private:
  struct Job;
  struct Prompt {
    Job* job = nullptr;
    int32_t index = 0;  // among the job's prompts
  };

  Prompt find(int64_t engine_request) const;
  void take_cost(const StepCost& step);
  void take_token(DrawnToken drawn, Taken& taken);
  void finish(Job& job, Taken& taken);

  const Tokenizer* tokenizer_;
  std::vector<int32_t> eos_token_ids_;
  int64_t next_id_ = 1, num_output_tokens_ = 0;
  Cost unshared_;
  std::unordered_map<int64_t, std::unique_ptr<Job>> jobs_;  // by key
  std::unordered_map<int64_t, Prompt> prompts_;             // by engine request
};

}  // namespace ll
