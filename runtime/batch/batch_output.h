#pragma once
// Where the records of a batch go. From a regular file to a regular file OUT they go to
// OUT.partial, a journal that the next run of the same job goes on with, and OUT appears when all
// lines are answered; anything else is written as it comes and cannot be resumed.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/output_file.h"
#include "runtime/batch/journal/job_file.h"
#include "runtime/batch/journal/journal_file.h"
#include "runtime/batch/manifest_keeper.h"
#include "runtime/config/engine_config.h"

namespace ll {

class BatchOutput {
 public:
  // Before the model is there: locks the output, reads the input once and what is answered. Throws
  // Error when that is another input's, when another job is at it, or when the output exists and
  // may not be replaced.
  BatchOutput(const EngineConfig& config, const std::string& host);
  ~BatchOutput();
  BatchOutput(const BatchOutput&) = delete;
  BatchOutput& operator=(const BatchOutput&) = delete;

  // Before anything is written. Throws Error (usage) when the answers there are another model's.
  void set_model(const ModelIdentity& model);
  // Before anything is written: what the manifest says of this run, see ManifestKeeper.
  void set_manifest(Manifest manifest, JobLife life);
  // Whether the output is there already, with the answers of this very job; after set_model().
  bool is_complete() const { return is_complete_; }

  const LineRange& lines() const { return lines_; }             // of the input that are asked
  bool has_known_lines() const { return journal_ != nullptr; }  // else it is read to its end
  // As the runs before left it; nothing is added.
  const LineSet& answered() const { return scan_.answered; }
  int64_t num_answered_errors() const { return num_dropped_ > 0 ? 0 : scan_.num_errors; }
  // What the user is told of it, a line each; none of a job that begins.
  std::vector<std::string> news() const;

  void write(std::string_view record, bool is_error);
  // OutputFile's: what the reader of a pipe has not taken yet.
  bool is_waiting() const { return plain_ && plain_->is_waiting(); }
  void flush(std::chrono::milliseconds patience) { plain_->flush(patience); }
  // Throws Error where answers would be written in vain; to be called now and then.
  void check_sound();
  // How far the work is, for the manifest; to be called often.
  void note(const JobWork& work);
  // What was written is on disk when this returns.
  void sync();
  // The same, and no more is answered in this life.
  void stop(const JobWork& work, std::string_view why);
  // All lines are answered.
  void finish(const JobWork& work = {});

 private:
  void open_journal(const std::string& host);
  void find_finished();
  void check_begins() const;
  void check_error_file() const;
  void scan();
  void scan_finished();
  void drop_errors(int fd, const std::string& path);
  void prepare();
  bool is_kept(const JournalLine& line, LineSet& seen) const;

  const EngineConfig& config_;
  std::string output_;  // job.output, or what it is a link to
  LineRange lines_;
  std::unique_ptr<OutputFile> plain_;  // or a journal:
  std::unique_ptr<JournalFile> journal_;
  std::optional<JobFile> before_;  // what OUT.job said
  JobFile job_;
  JournalScan scan_;
  bool is_ours_ = false;      // the output that is there
  bool is_complete_ = false;  // and has all answers that are wanted
  bool is_refilled_ = false;  // the journal, from the output: errors of it are asked again
  int64_t num_dropped_ = 0;   // errors that are asked again
  bool is_prepared_ = false;  // for appending
  RequestCounts counts_;
  std::optional<ManifestKeeper> manifest_;
};

}  // namespace ll
