#include "runtime/server/batches/batch_answers.h"

#include <ctime>
#include <utility>

#include "runtime/api/completion_body.h"

namespace ll {

void BatchAnswers::submit(int64_t line, std::string id, CompletionRequest request) {
  auto shared = std::make_shared<CompletionRequest>(std::move(request));
  service_.http.post([self = shared_from_this(), line, id = std::move(id), shared] {
    self->open(line, id, std::move(*shared));
  });
}

void BatchAnswers::open(int64_t line, const std::string& id, CompletionRequest request) {
  if (is_given_back_ || service_.is_draining) return;
  auto key = std::make_shared<int64_t>(0);
  auto created = static_cast<int64_t>(std::time(nullptr));
  auto self = shared_from_this();
  AnswerWriter writer{
      .on_answer =
          [self, key, line, id, created](const Answer& a) {
            self->keys_.erase(*key);
            self->add({line, completion_body(a.request, a.choices, a.usage, id, created,
                                             self->service_.context.tokenizer)});
          },
      .on_error =
          [self, key](const ApiError&) {
            self->keys_.erase(*key);
            self->break_off();
          }};
  *key = service_.open.open(std::move(request), std::move(writer), OpenRequests::Kind::kBatch);
  keys_.insert(*key);
}

void BatchAnswers::give_back() {
  is_given_back_ = true;
  for (int64_t key : std::exchange(keys_, {})) service_.open.abandon(key);
}

void BatchAnswers::add(BatchAnswer answer) {
  std::lock_guard lock(mutex_);
  answers_.push_back(std::move(answer));
  changed_.notify_one();
}

void BatchAnswers::break_off() {
  std::lock_guard lock(mutex_);
  is_broken_ = true;
  changed_.notify_one();
}

std::vector<BatchAnswer> BatchAnswers::take(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return is_broken_ || !answers_.empty(); });
  return std::exchange(answers_, {});
}

bool BatchAnswers::is_broken() const {
  std::lock_guard lock(mutex_);
  return is_broken_;
}

}  // namespace ll
