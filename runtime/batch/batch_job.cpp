#include "runtime/batch/batch_job.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "base/check.h"
#include "runtime/api/completion_body.h"
#include "runtime/batch/batch_envelope.h"

namespace ll {
namespace {

// SOURCE_DATE_EPOCH, where set, makes two runs' files equal.
int64_t creation_time() {
  const char* fixed = std::getenv("SOURCE_DATE_EPOCH");
  return fixed ? std::strtoll(fixed, nullptr, 10) : static_cast<int64_t>(std::time(nullptr));
}

// Between signs of life of a job that waits for its input.
constexpr auto kIdlePatience = std::chrono::milliseconds(200);

}  // namespace

BatchJob::BatchJob(const EngineConfig& config, const CompletionContext& context, ReplicaPool& pool,
                   BatchOutput& output, const StopPolicy& policy)
    : config_(config),
      context_(context),
      pool_(pool),
      output_(output),
      policy_(policy),
      desk_(context.tokenizer, context.eos_token_ids),
      created_(creation_time()) {}

int64_t BatchJob::read_ahead(const EngineConfig& config) {
  return std::min<int64_t>(config.scheduler.max_waiting,
                           4 * int64_t{config.scheduler.max_num_seqs});
}

ExitCode BatchJob::run(LineReader& input) {
  const LineRange& lines = output_.lines();
  counts_.total = output_.has_known_lines() ? lines.size() : -1;
  counts_.before = counts_.done = output_.answered().size();
  counts_.errors = output_.num_answered_errors();
  {
    RequestFeed feed(input, context_, config_.seed, static_cast<size_t>(read_ahead(config_)),
                     {.range = lines, .without = &output_.answered(), .order = config_.job.order});
    answer(feed);
  }
  if (stop_ && !has_ended(*stop_)) return give_up(*stop_);
  finish(input);
  return ExitCode::kDone;
}

void BatchJob::answer(RequestFeed& feed) {
  while (pool_.has_work() || !feed.is_done() || output_.is_waiting()) {
    stop_ = policy_.check(StopPolicy::Clock::now());
    if (stop_) {
      has_read_all_ = feed.is_done();
      return;
    }
    // No more is begun than the reader of a pipe takes; to the other ranks that is a rest.
    if (output_.is_waiting())
      output_.flush(pool_.has_work() ? std::chrono::milliseconds(0) : kIdlePatience);
    else
      read(feed);
    step();
  }
}

void BatchJob::step() {
  take(pool_.step());
  output_.check_sound();
  progress_.update(count());
  output_.note(work());
  rate_.update(TokenRate::Clock::now(), counts_.output_tokens, counts_.running);
}

void BatchJob::finish(const LineReader& input) {
  const LineRange& lines = output_.lines();
  check(counts_.total < 0 || input.num_lines() >= lines.last,
        "{}: has {} lines, it had {} when the job began: was it replaced?", config_.job.input,
        input.num_lines(), lines.last);
  output_.finish(work());
  counts_.total = counts_.done;
  progress_.finish(counts_);
  print_shares();
}

// Lines that come later are not asked; of those that are, each ends in time or is given back.
// Whether all are answered then.
bool BatchJob::has_ended(const Stop& stop) {
  // A reader that has paused gets no longer than the requests.
  auto waits = [&] { return output_.is_waiting() && StopPolicy::Clock::now() < stop.end; };
  while (pool_.has_work() || waits()) {
    give_back(stop);
    if (output_.is_waiting())
      output_.flush(pool_.has_work() ? std::chrono::milliseconds(0) : kIdlePatience);
    step();
  }
  return has_read_all_ && num_given_back_ == 0 && !output_.is_waiting();
}

ExitCode BatchJob::give_up(const Stop& stop) {
  output_.stop(work(), stop.reason);
  progress_.finish(counts_);
  fmt::print(stderr, "given back     {} requests, {} of their tokens\n", num_given_back_,
             num_tokens_lost_);
  std::string of = counts_.total < 0 ? "" : fmt::format(" of {}", counts_.total);
  fmt::print(stderr, "litelang-run: {}: {}{} answered; {}\n", stop.reason, counts_.done, of,
             output_.has_known_lines() ? "run again to go on"
                                       : "this input and output cannot be gone on with");
  return output_.has_known_lines() ? ExitCode::kResumable : ExitCode::kError;
}

// What has no token yet costs least to begin anew.
void BatchJob::give_back(const Stop& stop) {
  double seconds = std::chrono::duration<double>(stop.end - StopPolicy::Clock::now()).count();
  for (const Desk::Progress& p : desk_.progress()) {
    bool ends_in_time =
        p.num_drawn > 0 && static_cast<double>(p.num_remaining) <= seconds * rate_.per_answer();
    if (ends_in_time) continue;
    for (int64_t request : desk_.close(p.key)) pool_.cancel(request);
    custom_ids_.erase(p.key);
    ++num_given_back_;
    num_tokens_lost_ += p.num_drawn;
    given_back_ += p.cost;
  }
}

void BatchJob::read(RequestFeed& feed) {
  for (int64_t i = 0; i < read_ahead(config_) && pool_.wants_more(); ++i) {
    auto item = feed.pop(pool_.has_work() ? std::chrono::milliseconds(0) : kIdlePatience);
    if (!item) return;
    submit(std::move(*item));
  }
}

void BatchJob::submit(RequestFeed::Item item) {
  if (!item.request) return fail(item.line, item.custom_id, item.error);
  auto requests = desk_.open(item.line, std::move(*item.request));
  try {
    for (const auto& r : requests) pool_.check_fits(*r);
  } catch (const Error& e) {
    desk_.close(item.line);
    return fail(item.line, item.custom_id, e.what());
  }
  custom_ids_.emplace(item.line, std::move(item.custom_id));
  for (auto& r : requests) pool_.submit(std::move(r));
}

void BatchJob::take(StepEvents events) {
  Desk::Taken taken = desk_.take(std::move(events));
  for (SequenceId sequence : taken.ends) pool_.end(sequence);
  for (const Answer& answer : taken.answers) write(answer);
  for (const Failure& failure : taken.failures) {
    for (int64_t request : failure.engine_requests) pool_.cancel(request);
    given_back_ += failure.cost;
    fail(failure.key, custom_ids_.extract(failure.key).mapped(), kNoTokenDrawn);
  }
}

void BatchJob::write(const Answer& answer) {
  auto custom_id = custom_ids_.extract(answer.key);
  std::string body = completion_body(answer.request, answer.choices, answer.usage,
                                     std::to_string(answer.key), created_, context_.tokenizer);
  output_.write(batch_record(answer.key, custom_id.mapped(), body), /*is_error=*/false);
  ++counts_.done;
}

void BatchJob::fail(int64_t line, std::string_view custom_id, std::string_view message) {
  output_.write(batch_error_record(line, custom_id, message), /*is_error=*/true);
  ++counts_.done;
  ++counts_.errors;
}

const BatchCounts& BatchJob::count() {
  SchedulerStats stats = pool_.stats();
  counts_.prompt_tokens = stats.prompt_tokens;
  counts_.cached_tokens = stats.cached_tokens;
  counts_.preemptions = stats.num_preemptions;
  counts_.running = stats.num_running;
  counts_.waiting = stats.num_waiting;
  counts_.output_tokens = desk_.num_output_tokens();
  return counts_;
}

JobWork BatchJob::work() const {
  Cost given_back = given_back_;
  given_back += desk_.unshared_cost();
  return {.prompt_tokens = counts_.prompt_tokens,
          .cached_tokens = counts_.cached_tokens,
          .output_tokens = counts_.output_tokens,
          .cost = pool_.cost(),
          .given_back = given_back};
}

void BatchJob::print_shares() const {
  std::string shares;
  for (double share : pool_.busy_shares())
    shares += fmt::format("{}{:.1f}%", shares.empty() ? "" : ", ", 100 * share);
  if (!shares.empty()) fmt::print(stderr, "replicas busy  {}\n", shares);
}

}  // namespace ll
