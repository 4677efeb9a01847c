#include "runtime/answers/desk.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "runtime/api/text_output.h"

namespace ll {

struct Desk::Job {
  Answer answer;
  std::vector<int64_t> engine_requests;          // of the prompts
  std::vector<std::optional<TextOutput>> texts;  // of the choices that are open
  // The prompts', if asked for; nothing is added once an answer has begun.
  std::vector<std::shared_ptr<std::vector<TokenLogprob>>> scores;
  int64_t num_open = 0;  // choices
};

Desk::Desk(const Tokenizer* tokenizer, std::vector<int32_t> eos_token_ids)
    : tokenizer_(tokenizer), eos_token_ids_(std::move(eos_token_ids)) {}

Desk::~Desk() = default;

std::vector<std::shared_ptr<const Request>> Desk::open(int64_t key, CompletionRequest request) {
  auto job = std::make_unique<Job>();
  job->answer.key = key;
  job->answer.request = std::move(request);
  const CompletionRequest& r = job->answer.request;
  job->num_open = r.num_choices();
  job->scores.resize(r.prompts.size());
  if (r.params.prompt_logprobs >= 0)
    for (auto& scores : job->scores) scores = std::make_shared<std::vector<TokenLogprob>>();
  for (int32_t i = 0; i < r.num_choices(); ++i) {
    job->answer.choices.push_back({.index = i});
    auto prompt = static_cast<size_t>(i / r.params.n);
    job->texts.emplace_back(std::in_place, tokenizer_, r.text, r.params_of(prompt).min_tokens);
  }
  std::vector<std::shared_ptr<const Request>> to_run;
  for (size_t i = 0; i < r.prompts.size(); ++i) {
    auto one = std::make_shared<Request>();
    one->id = next_id_++;
    one->priority = r.priority;
    one->prompt = r.prompts[i];
    one->params = r.params_of(i);
    one->eos_token_ids = eos_token_ids_;
    job->answer.usage.prompt_tokens += static_cast<int64_t>(one->prompt.size());
    job->engine_requests.push_back(one->id);
    prompts_[one->id] = {job.get(), static_cast<int32_t>(i)};
    to_run.push_back(std::move(one));
  }
  bool is_new = jobs_.emplace(key, std::move(job)).second;
  ensure(is_new, "desk: a key that is in use");
  return to_run;
}

Desk::Prompt Desk::find(int64_t engine_request) const {
  auto found = prompts_.find(engine_request);
  return found == prompts_.end() ? Prompt{} : found->second;
}

// A row of a request that has ended was in vain: the others of its step pay for it, and where there
// are none, those of the next.
void Desk::take_cost(const StepCost& step) {
  if (step.shares.empty()) return;
  unshared_ += step.cost * 1;
  int64_t tokens = 0;
  for (const CostShare& share : step.shares)
    if (find(share.request).job) tokens += share.tokens;
  if (tokens == 0) return;
  for (const CostShare& share : step.shares) {
    Job* job = find(share.request).job;
    if (!job) continue;
    Cost cost = unshared_ * (static_cast<double>(share.tokens) / static_cast<double>(tokens));
    cost.computed_tokens = share.tokens;
    std::optional<Cost>& total = job->answer.usage.cost;
    (total ? *total : total.emplace()) += cost;
  }
  unshared_ = {};
}

Desk::Taken Desk::take(StepEvents events) {
  Taken taken;
  for (const StepCost& step : events.costs) take_cost(step);
  for (const StartedPrompt& s : events.started)
    if (Job* job = find(s.request).job) job->answer.usage.cached_tokens += s.num_cached;
  for (const DraftedTokens& d : events.drafted)
    if (Job* job = find(d.request).job) {
      job->answer.usage.draft_tokens += d.drafted;
      job->answer.usage.accepted_tokens += d.accepted;
    }
  for (PromptScores& s : events.prompt_scores) {
    Prompt prompt = find(s.request);
    if (!prompt.job) continue;
    auto& all = *prompt.job->scores[static_cast<size_t>(prompt.index)];
    all.resize(static_cast<size_t>(s.first - 1));  // a preempted prompt starts over
    all.insert(all.end(), std::move_iterator(s.logprobs.begin()),
               std::move_iterator(s.logprobs.end()));
  }
  for (DrawnToken& drawn : events.tokens) take_token(std::move(drawn), taken);
  return taken;
}

void Desk::take_token(DrawnToken drawn, Taken& taken) {
  auto [job, prompt_index] = find(drawn.sequence.request);
  if (!job) return;
  const CompletionRequest& r = job->answer.request;
  auto index = static_cast<size_t>(int64_t{prompt_index} * r.params.n + drawn.sequence.index);
  std::optional<TextOutput>& text = job->texts.at(index);
  if (!text) return;  // behind its end
  if (drawn.finish_reason == FinishReason::kFailed) {
    int64_t key = job->answer.key;
    Cost cost = job->answer.usage.cost.value_or(Cost{});
    return taken.failures.push_back({key, cost, close(key)});
  }
  ++num_output_tokens_;
  Choice& choice = job->answer.choices[index];
  choice.token_ids.push_back(drawn.token);
  // A token that ends the answer is not part of its text.
  bool is_silent = drawn.finish_reason == FinishReason::kStop && !r.text.include_stop_str_in_output;
  if (!is_silent && text->push(drawn.token) && drawn.finish_reason == FinishReason::kNone)
    taken.ends.push_back(drawn.sequence);
  bool has_ended = drawn.finish_reason != FinishReason::kNone || text->is_stopped();
  if (has_ended) {
    text->finish();
    choice.finish_reason = text->is_stopped() ? FinishReason::kStop : drawn.finish_reason;
  }
  if (r.stream) {
    taken.deltas.push_back({job->answer.key, choice.index, text->take_settled(), drawn.token,
                            drawn.logprob, choice.finish_reason});
    if (choice.token_ids.size() == 1)
      taken.deltas.back().prompt_logprobs = job->scores[static_cast<size_t>(prompt_index)];
  }
  if (drawn.logprob) choice.logprobs.push_back(std::move(*drawn.logprob));
  if (!has_ended) return;
  choice.text = text->take_text();
  text.reset();
  if (--job->num_open == 0) finish(*job, taken);
}

void Desk::finish(Job& job, Taken& taken) {
  Answer& answer = job.answer;
  for (Choice& choice : answer.choices) {
    answer.usage.completion_tokens += static_cast<int64_t>(choice.token_ids.size());
    choice.prompt_logprobs =
        job.scores[static_cast<size_t>(choice.index / answer.request.params.n)];
  }
  taken.answers.push_back(std::move(answer));
  close(taken.answers.back().key);
}

std::vector<Desk::Progress> Desk::progress() const {
  std::vector<Progress> all;
  for (const auto& [key, job] : jobs_) {
    Progress p{.key = key, .cost = job->answer.usage.cost.value_or(Cost{})};
    const CompletionRequest& r = job->answer.request;
    for (const Choice& choice : job->answer.choices) {
      auto drawn = static_cast<int64_t>(choice.token_ids.size());
      p.num_drawn += drawn;
      auto index = static_cast<size_t>(choice.index);
      if (!job->texts[index]) continue;  // it has ended
      auto prompt = index / static_cast<size_t>(r.params.n);
      p.num_remaining = std::max(p.num_remaining, r.params_of(prompt).max_tokens - drawn);
    }
    all.push_back(p);
  }
  return all;
}

std::vector<int64_t> Desk::close(int64_t key) {
  auto found = jobs_.find(key);
  ensure(found != jobs_.end(), "desk: closes what is not open");
  std::vector<int64_t> engine_requests = std::move(found->second->engine_requests);
  for (int64_t id : engine_requests) prompts_.erase(id);
  jobs_.erase(found);
  return engine_requests;
}

}  // namespace ll
