#include "runtime/batch/batch_output.h"

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>

#include "base/check.h"
#include "base/durable_file.h"
#include "base/input_file.h"
#include "runtime/batch/journal/answers_in_order.h"
#include "runtime/batch/journal/input_digest.h"

namespace ll {
namespace {

namespace fs = std::filesystem;
using Resume = BatchOptions::Resume;
using OutputOrder = BatchOptions::OutputOrder;

// A pipe, a device or a descriptor is none, nor what is not there.
bool is_file(const std::string& path) {
  std::error_code none;
  return path != "-" && fs::is_regular_file(path, none);
}

bool may_be_file(const std::string& path) {
  std::error_code none;
  return path != "-" && (is_file(path) || !fs::exists(path, none));
}

std::string behind_link(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  std::string target = fs::weakly_canonical(path, error);
  return error ? path : target;
}

void check_plain(const BatchOptions& job) {
  auto refuse = [&](const char* key) {
    fail_usage("job.{}: needs an input and an output that are regular files, not {} and {}", key,
               job.input, job.output);
  };
  if (job.output_order != OutputOrder::kAsFinished) refuse("output_order");
  if (!job.error_file.empty()) refuse("error_file");
  if (!job.part.is_all()) refuse("part");
}

}  // namespace

BatchOutput::BatchOutput(const EngineConfig& config, const std::string& host)
    : config_(config), output_(behind_link(config.job.output)) {
  if (is_file(config.job.input) && may_be_file(output_)) {
    open_journal(host);
  } else {
    check_plain(config.job);
    plain_ = std::make_unique<OutputFile>(config.job.output, config.job.overwrite);
  }
}

BatchOutput::~BatchOutput() = default;

void BatchOutput::open_journal(const std::string& host) {
  std::string job_path = output_ + ".job";
  before_ = JobFile::read(job_path);
  journal_ = std::make_unique<JournalFile>(output_ + ".partial",
                                           [&] { return before_ ? before_->writer.text() : ""; });
  // As it is now that nobody else writes it.
  before_ = JobFile::read(job_path);
  find_finished();
  job_.fingerprint.input_path = config_.job.input;
  job_.fingerprint.input = digest_input(config_.job.input);
  job_.fingerprint.part = config_.job.part;
  job_.writer = JobWriter::self(host);
  lines_ = config_.job.part.of(job_.fingerprint.input.lines);
  check_error_file();
  bool has_begun = is_ours_ || (journal_->size() > 0 && config_.job.resume != Resume::kRestart);
  if (!has_begun) {
    check_begins();
    return before_.reset();
  }
  check(before_.has_value(),
        "{}: is missing, so nobody knows whose answers are in {}; set job.resume: restart to "
        "begin anew",
        job_path, journal_->path());
  check_same_input(before_->fingerprint, job_.fingerprint, is_ours_ ? output_ : journal_->path(),
                   is_ours_ ? "job.overwrite: true" : "job.resume: restart");
  if (is_complete_) return journal_->remove();  // of a run that was killed while it removed it
  bool goes_on = journal_->size() > 0 && config_.job.resume != Resume::kRestart;
  goes_on ? scan() : scan_finished();
}

// Whose the file is that has the output's name.
void BatchOutput::find_finished() {
  auto there = FinishedOutput::of(output_);
  if (!there || config_.job.overwrite) return;
  bool is_finished = before_ && before_->finished == there,
       is_replaced = before_ && before_->replaced == there;
  is_ours_ = is_finished || is_replaced;
  check(is_ours_ || there->bytes == 0,
        "{}: exists already; remove it, choose another job.output, or set job.overwrite: true",
        output_);
  is_complete_ = is_finished && !(config_.job.retry_errors && before_->counts.failed > 0);
  if (is_ours_ && !is_complete_) job_.replaced = there;
}

void BatchOutput::check_begins() const {
  const std::string& path = config_.job.error_file;
  auto errors = FinishedOutput::of(path);
  check(config_.job.overwrite || !errors || errors->bytes == 0,
        "{}: exists already; remove it, choose another job.error_file, or set job.overwrite: true",
        path);
}

void BatchOutput::check_error_file() const {
  const std::string& path = config_.job.error_file;
  std::error_code none;
  bool is_output = fs::weakly_canonical(path, none) == fs::weakly_canonical(output_, none);
  if (!path.empty() && is_output) fail_usage("job.error_file: {} is job.output, too", path);
}

void BatchOutput::scan() {
  scan_ = scan_journal(journal_->fd(), journal_->path(), lines_);
  if (config_.job.retry_errors && scan_.num_errors > 0)
    drop_errors(journal_->fd(), journal_->path());
}

// What is asked again of an output that was complete; the rest goes back into the journal.
void BatchOutput::scan_finished() {
  InputFile file(output_);
  is_refilled_ = true;
  scan_ = scan_journal(file.fd(), output_, lines_);
  drop_errors(file.fd(), output_);
  num_dropped_ = before_->counts.failed;  // those in a file of their own, too
}

// Errors are asked again, so they are not answered.
void BatchOutput::drop_errors(int fd, const std::string& path) {
  LineSet kept, seen;
  for_each_line(fd, path, [&](const JournalLine& line) {
    if (is_kept(line, seen)) kept.insert(read_record_head(line.text).value().line);
  });
  scan_.answered = std::move(kept);
  num_dropped_ = scan_.num_errors;
}

bool BatchOutput::is_kept(const JournalLine& line, LineSet& seen) const {
  RecordHead head = read_record_head(line.text).value();
  bool is_first = seen.insert(head.line);
  return is_first && !(head.is_error && (config_.job.retry_errors || is_refilled_));
}

void BatchOutput::set_model(const ModelIdentity& model) {
  job_.fingerprint.model = model;
  if (!before_ || config_.job.resume == Resume::kForce) return;
  check_same_model(
      before_->fingerprint.model, model, is_ours_ ? output_ : journal_->path(),
      is_ours_ ? "job.overwrite: true" : "job.resume: force to go on all the same, or restart");
}

std::vector<std::string> BatchOutput::news() const {
  if (is_complete_)
    return {fmt::format("{}: is complete; all of its {} lines were answered before", output_,
                        lines_.size())};
  if (!before_) return {};
  std::vector<std::string> news = {
      fmt::format("resumed        {} of {} answered before", scan_.answered.size(), lines_.size())};
  int64_t torn = is_refilled_ ? 0 : journal_->size() - scan_.num_bytes;
  if (torn > 0) news.push_back(fmt::format("               a torn line of {} bytes was cut", torn));
  if (scan_.num_repeated > 0)
    news.push_back(fmt::format("               {} answers of lines that have one were dropped",
                               scan_.num_repeated));
  if (num_dropped_ > 0)
    news.push_back(fmt::format("               {} errors are asked again", num_dropped_));
  return news;
}

// From here on the journal is this run's.
void BatchOutput::prepare() {
  if (is_prepared_) return;
  is_prepared_ = true;
  int64_t last_write = journal_->last_write();
  LineSet seen;
  auto keeps = [&](const JournalLine& line) { return is_kept(line, seen); };
  if (is_refilled_) {
    InputFile file(output_);
    journal_->refill(file.fd(), output_, keeps);
  } else {
    journal_->cut(scan_.num_bytes);  // nothing is kept of a job that begins anew
    if (num_dropped_ > 0 || scan_.num_repeated > 0) journal_->keep(keeps);
  }
  counts_ = {.total = scan_.answered.size(), .failed = num_answered_errors()};
  job_.write(output_ + ".job");
  if (manifest_)
    manifest_->begin(
        job_.fingerprint,
        {.is_resumed = before_.has_value(), .answered = counts_.total, .last_write = last_write});
}

void BatchOutput::set_manifest(Manifest manifest, JobLife life) {
  if (!journal_) return;
  life.writer = job_.writer;
  manifest_.emplace(output_ + ".manifest.json", std::move(manifest), std::move(life));
}

void BatchOutput::note(const JobWork& work) {
  if (manifest_ && is_prepared_) manifest_->note(work, counts_);
}

void BatchOutput::write(std::string_view record, bool is_error) {
  if (plain_) return plain_->write_line(record);
  prepare();
  journal_->append(record);
  ++counts_.total;
  counts_.failed += is_error;
}

void BatchOutput::check_sound() {
  if (journal_) journal_->check_sound();
}

void BatchOutput::sync() {
  if (journal_ && is_prepared_) journal_->sync();
}

void BatchOutput::stop(const JobWork& work, std::string_view why) {
  sync();
  if (manifest_ && is_prepared_)
    manifest_->end(work, counts_, fmt::format("stopped: {}", why), false);
}

void BatchOutput::finish(const JobWork& work) {
  if (plain_) return plain_->close();
  prepare();
  AnswerPlaces places{.output = output_,
                      .errors = config_.job.error_file,
                      .is_sorted = config_.job.output_order == OutputOrder::kInput};
  // Errors that were asked again may be there still.
  bool has_errors = counts_.failed > 0 || job_.replaced.has_value();
  bool is_copied = places.is_sorted || (!places.errors.empty() && has_errors);
  if (is_copied) copy_answers(journal_->fd(), journal_->path(), lines_, places);
  std::string last = is_copied ? output_ + ".tmp" : journal_->path();
  // Before the output has its name, so that whoever finds it there knows whose it is.
  if (manifest_) manifest_->end(work, counts_, "done", true);
  job_.finished = FinishedOutput::of(last);
  job_.counts = counts_;
  job_.write(output_ + ".job");
  if (!is_copied) return journal_->rename_to(output_);
  if (!places.errors.empty()) rename_durably(places.errors + ".tmp", places.errors);
  rename_durably(last, output_);
  journal_->remove();
}

}  // namespace ll
