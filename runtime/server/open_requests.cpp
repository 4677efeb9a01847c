#include "runtime/server/open_requests.h"

#include <algorithm>

namespace ll {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

int64_t OpenRequests::open(CompletionRequest request, AnswerWriter writer, Kind kind) {
  int64_t key = ++last_key_;
  Open one{.writer = std::make_shared<AnswerWriter>(std::move(writer)), .came = Clock::now()};
  one.kind = kind;
  one.last_token.assign(static_cast<size_t>(request.num_choices()), -1);
  for (const auto& prompt : request.prompts)
    one.prompt_tokens += static_cast<int64_t>(prompt.size());
  one.n = request.params.n;
  one.max_tokens = request.params.max_tokens;
  one.drops_output = request.drop_output;
  if (kind != Kind::kBatch) num_choices_ += request.num_choices();
  open_.emplace(key, std::move(one));
  request.stream = true;  // every token is told of, and its time known
  loop_.submit(key, std::move(request));
  metrics_.set_load(metrics_.load(), 1);
  return key;
}

void OpenRequests::hold(int64_t key, HttpTimer timer) {
  if (auto found = open_.find(key); found != open_.end()) found->second.timer = std::move(timer);
}

void OpenRequests::abandon(int64_t key) {
  auto found = open_.find(key);
  if (found == open_.end()) return;
  loop_.cancel(key);
  count_abort(found->second);
  close(key, Clock::now(), 499, "abort");
}

void OpenRequests::fail(int64_t key, const ApiError& error) {
  auto found = open_.find(key);
  if (found == open_.end()) return;
  std::shared_ptr<const AnswerWriter> writer = found->second.writer;
  loop_.cancel(key);
  count_abort(found->second);
  close(key, Clock::now(), error.status, "error");
  writer->on_error(error);
}

void OpenRequests::count_abort(const Open& one) {
  if (one.kind == Kind::kProbe) return;
  for (size_t i = 0; i < one.last_token.size(); ++i) metrics_.count_end(FinishReason::kAborted);
}

void OpenRequests::fail_all(const ApiError& error) {
  std::vector<int64_t> keys;
  for (const auto& [key, one] : open_) keys.push_back(key);
  for (int64_t key : keys) fail(key, error);
}

void OpenRequests::take(const StepNews& news) {
  auto now = Clock::now();
  for (int64_t key : news.started) {
    auto found = open_.find(key);
    if (found == open_.end() || found->second.times.started >= 0) continue;
    found->second.times.started = seconds(now - found->second.came);
    if (found->second.kind == Kind::kClient) metrics_.observe_start(found->second.times);
  }
  metrics_.set_times(news.times);
  if (news.work.steps > 0) metrics_.observe_step(news.work.rows);
  for (const Delta& delta : news.deltas) take_delta(delta, now);
  metrics_.set_load(news.stats, last_key_ - news.num_taken);
  for (const Answer& answer : news.answers) take_answer(answer, now);
  for (int64_t key : news.failures)
    fail(key, {.status = 500, .message = std::string(kNoTokenDrawn), .code = "no_token_drawn"});
}

void OpenRequests::take_delta(const Delta& delta, Clock::time_point now) {
  auto found = open_.find(delta.key);
  if (found == open_.end()) return;
  Open& one = found->second;
  if (one.kind == Kind::kProbe) return;
  bool is_clients = one.kind == Kind::kClient;
  double at = seconds(now - one.came);
  double& last = one.last_token.at(static_cast<size_t>(delta.choice));
  if (!one.drops_output) {
    ++one.tokens;
    metrics_.count_tokens(1);
    if (last >= 0 && is_clients) metrics_.observe_gap(at - last);
  }
  last = at;
  if (one.times.first_token < 0) {
    one.times.first_token = at;
    if (is_clients) metrics_.observe_first_token(at);
  }
  std::shared_ptr<const AnswerWriter> writer = one.writer;
  if (writer->on_delta) writer->on_delta(delta);
}

void OpenRequests::take_answer(const Answer& answer, Clock::time_point now) {
  auto found = open_.find(answer.key);
  if (found == open_.end()) return;
  std::shared_ptr<const AnswerWriter> writer = found->second.writer;
  const char* outcome = "length";
  for (const Choice& choice : answer.choices) {
    FinishReason reason = answer.request.drop_output ? FinishReason::kLength : choice.finish_reason;
    if (reason == FinishReason::kStop) outcome = "stop";
    if (found->second.kind != Kind::kProbe) metrics_.count_end(reason);
  }
  Open& one = found->second;
  one.times.end = seconds(now - one.came);
  if (one.kind == Kind::kClient)
    metrics_.observe_end(one.times, one.prompt_tokens, one.tokens, std::ssize(one.last_token),
                         one.n, one.max_tokens);
  close(answer.key, now, 200, outcome);
  writer->on_answer(answer);
}

void OpenRequests::close(int64_t key, Clock::time_point now, int status, const char* outcome) {
  auto node = open_.extract(key);
  Open& one = node.mapped();
  one.times.end = seconds(now - one.came);
  if (one.kind != Kind::kBatch) num_choices_ -= std::ssize(one.last_token);
  if (tell_ && one.kind == Kind::kClient)
    tell_({.id = std::to_string(key),
           .status = status,
           .outcome = outcome,
           .prompt_tokens = one.prompt_tokens,
           .tokens = one.tokens,
           .times = one.times});
  if (open_.empty() && on_empty_) on_empty_();
}

}  // namespace ll
