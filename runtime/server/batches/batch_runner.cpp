#include "runtime/server/batches/batch_runner.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <utility>

#include "base/check.h"
#include "parallel/mpi/mpi_environment.h"
#include "runtime/batch/batch_envelope.h"
#include "runtime/server/batches/batch_check.h"
#include "runtime/server/handlers.h"

namespace ll {
namespace {

// Behind all requests of clients.
constexpr int32_t kPriority = std::numeric_limits<int32_t>::max();
constexpr auto kPatience = std::chrono::milliseconds(20);

int64_t now() { return static_cast<int64_t>(std::time(nullptr)); }

std::string output_of(const BatchObject& b) { return "file-" + b.id.substr(6) + "-output"; }
std::string errors_of(const BatchObject& b) { return "file-" + b.id.substr(6) + "-errors"; }

// Those of a batch that may run at a time: clients find room beside them.
int64_t most_choices(const Service& s) {
  int64_t all = s.max_choices - s.config.scheduler.max_waiting;
  int64_t wanted = s.config.server.batch_max_seqs;
  return wanted > 0 ? std::min(wanted, all) : std::max<int64_t>(1, all * 3 / 4);
}

// The batch as a batch job.
EngineConfig job_of(const BatchObject& b, const BatchStore& store, const EngineConfig& config) {
  EngineConfig job = config;
  job.job = {.type = JobType::kBatch,
             .input = store.path_of(b.input_file_id),
             .output = store.path_of(output_of(b)),
             .error_file = store.path_of(errors_of(b)),
             .max_line_bytes = config.job.max_line_bytes};
  return job;
}

}  // namespace

BatchRunner::BatchRunner(Service& service, BatchStore& store, ModelIdentity model)
    : service_(service),
      store_(store),
      model_(std::move(model)),
      host_(MpiEnvironment::host_name()),
      max_choices_(most_choices(service)),
      thread_([this] { work(); }) {}

BatchRunner::~BatchRunner() {
  stops_ = true;
  wake();
  thread_.join();
}

void BatchRunner::wake() {
  std::lock_guard lock(mutex_);
  is_woken_ = true;
  changed_.notify_one();
}

void BatchRunner::stop() {
  stops_ = true;
  std::lock_guard lock(mutex_);
  if (answers_) answers_->give_back();
  changed_.notify_one();
}

void BatchRunner::work() {
  while (!stops_) {
    if (auto batch = next(); batch && run(*batch)) continue;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stops_ || is_woken_; });
    is_woken_ = false;
  }
}

// The one that came first.
std::optional<BatchObject> BatchRunner::next() const {
  std::vector<BatchObject> all = store_.batches();
  auto first = std::find_if(all.rbegin(), all.rend(), [](const auto& b) { return !b.has_ended(); });
  return first == all.rend() ? std::nullopt : std::optional(*first);
}

// Runs a batch to its end, or the server's; false: it is to wait.
bool BatchRunner::run(const BatchObject& batch) try {
  try {
    bool has_begun = batch.times.contains("in_progress_at");
    if (batch.status == BatchStatus::kCancelling && !has_begun)
      finish(batch, End::kCancelled);
    else if (has_begun || validate(batch))
      answer(batch);
  } catch (const Error& e) {
    fail(batch, {{.code = "internal_error", .message = e.what(), .param = ""}});
  }
  return true;
} catch (const std::exception& e) {
  fmt::print(stderr, "litelang: {}: {}\n", batch.id, e.what());
  return false;
}

// False: the batch has failed, or the server ends.
bool BatchRunner::validate(const BatchObject& batch) {
  BatchCheck check =
      check_batch_file(store_.path_of(batch.input_file_id), batch.endpoint,
                       service_.config.job.max_line_bytes, [this] { return stops_.load(); });
  if (stops_) return false;
  if (!check.faults.empty()) return fail(batch, std::move(check.faults)), false;
  store_.update(batch.id, [&](BatchObject& b) {
    b.total = check.num_requests;
    if (b.status == BatchStatus::kValidating) b.status = BatchStatus::kInProgress;
    b.times["in_progress_at"] = now();
  });
  return true;
}

void BatchRunner::answer(const BatchObject& batch) {
  EngineConfig job = job_of(batch, store_, service_.config);
  BatchOutput output(job, host_);
  output.set_model(model_);
  if (output.is_complete())  // and only the batch does not know it yet
    return finish(batch, batch.status == BatchStatus::kCancelling ? End::kCancelled : End::kDone);
  num_failed_ = output.num_answered_errors();
  num_completed_ = output.answered().size() - num_failed_;
  num_choices_ = 0;
  open_.clear();
  auto answers = std::make_shared<BatchAnswers>(service_);
  set_answers(answers);
  End end = answer_lines(batch, job, output);
  set_answers(nullptr);
  if (end != End::kDone) service_.http.post([answers] { answers->give_back(); });
  if (end == End::kStopped) return output.sync();
  if (end == End::kDone)
    store_.update(batch.id, [](BatchObject& b) {
      b.status = BatchStatus::kFinalizing;
      b.times["finalizing_at"] = now();
    });
  output.finish();
  finish(batch, end);
}

void BatchRunner::set_answers(std::shared_ptr<BatchAnswers> answers) {
  std::lock_guard lock(mutex_);
  answers_ = std::move(answers);
}

BatchRunner::End BatchRunner::answer_lines(const BatchObject& batch, const EngineConfig& job,
                                           BatchOutput& output) {
  LineReader input(job.job.input, job.job.max_line_bytes);
  RequestFeed feed(
      input, service_.context, job.seed, static_cast<size_t>(2 * max_choices_),
      {.range = output.lines(), .without = &output.answered(), .order = job.job.order});
  for (;;) {
    if (auto end = end_of(batch)) return *end;
    bool has_room = num_choices_ < max_choices_ && !feed.is_done();
    for (const BatchAnswer& one :
         answers_->take(has_room ? std::chrono::milliseconds(0) : kPatience))
      write(output, one);
    store_.set_counts(batch.id, num_completed_, num_failed_);
    if (answers_->is_broken()) return End::kStopped;
    if (feed.is_done() && open_.empty()) return End::kDone;
    if (auto item = has_room ? feed.pop(kPatience) : std::nullopt)
      submit(batch, output, std::move(*item));
    output.check_sound();
  }
}

// Why a batch ends before its last line.
std::optional<BatchRunner::End> BatchRunner::end_of(const BatchObject& batch) const {
  if (stops_) return End::kStopped;
  if (store_.batch(batch.id)->status == BatchStatus::kCancelling) return End::kCancelled;
  if (now() >= batch.times.at("expires_at")) return End::kExpired;
  return std::nullopt;
}

void BatchRunner::submit(const BatchObject& batch, BatchOutput& output, RequestFeed::Item item) {
  if (!item.request) return fail_line(output, item, item.error);
  if (auto refused = refuse_model(service_, item.request->model))
    return fail_line(output, item, refused->message);
  try {
    check_fits(service_, *item.request);
  } catch (const Error& e) {
    return fail_line(output, item, e.what());
  }
  item.request->priority = kPriority;
  int64_t num_choices = item.request->num_choices();
  num_choices_ += num_choices;
  open_.emplace(item.line, Open{std::move(item.custom_id), num_choices});
  answers_->submit(item.line, fmt::format("{}-{}", batch.id, item.line), std::move(*item.request));
}

void BatchRunner::write(BatchOutput& output, const BatchAnswer& answer) {
  auto open = open_.extract(answer.line);
  num_choices_ -= open.mapped().num_choices;
  output.write(batch_record(answer.line, open.mapped().custom_id, answer.body), /*is_error=*/false);
  ++num_completed_;
}

void BatchRunner::fail_line(BatchOutput& output, const RequestFeed::Item& item,
                            std::string_view why) {
  output.write(batch_error_record(item.line, item.custom_id, why), /*is_error=*/true);
  ++num_failed_;
}

void BatchRunner::finish(const BatchObject& batch, End end) {
  std::string output = add_output(output_of(batch), "output.jsonl"),
              errors = add_output(errors_of(batch), "errors.jsonl");
  store_.update(batch.id, [&](BatchObject& b) {
    b.status = end == End::kDone      ? BatchStatus::kCompleted
               : end == End::kExpired ? BatchStatus::kExpired
                                      : BatchStatus::kCancelled;
    b.times[fmt::format("{}_at", name_of(b.status))] = now();
    b.output_file_id = output, b.error_file_id = errors;
  });
  ::unlink((store_.path_of(output_of(batch)) + ".job").c_str());
}

void BatchRunner::fail(const BatchObject& batch, std::vector<BatchFault> faults) {
  store_.update(batch.id, [&](BatchObject& b) {
    b.status = BatchStatus::kFailed;
    b.times["failed_at"] = now();
    b.faults = std::move(faults);
  });
}

// What the batch wrote there becomes a file; its id, or nothing where there is none.
std::string BatchRunner::add_output(const std::string& id, const char* filename) {
  auto there = FinishedOutput::of(store_.path_of(id));
  if (!there || there->bytes == 0) return ::unlink(store_.path_of(id).c_str()), "";
  store_.add_file({.id = id,
                   .filename = filename,
                   .purpose = "batch_output",
                   .bytes = there->bytes,
                   .created_at = now()});
  return id;
}

}  // namespace ll
