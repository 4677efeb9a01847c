#pragma once
// OUT.job: whose answers OUT.partial, and later OUT, holds.
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/batch/journal/job_fingerprint.h"

namespace ll {

// The process that wrote last.
struct JobWriter {
  std::string host;
  int64_t pid = 0;
  std::string slurm_job;  // empty: none

  // "process 17 on node3, Slurm job 4711"
  std::string text() const;
  static JobWriter self(const std::string& host);
};

// The output as it is when all is answered: a file of that name that is another one is not.
struct FinishedOutput {
  uint64_t inode = 0;
  int64_t bytes = 0;  // none, where all answers are errors, in a file of their own

  // That of a file; none where there is none.
  static std::optional<FinishedOutput> of(const std::string& path);
  bool operator==(const FinishedOutput&) const = default;
};

// OpenAI's request_counts of a batch that has ended.
struct RequestCounts {
  int64_t total = 0, failed = 0;  // answered; with an error
};

struct JobFile {
  JobFingerprint fingerprint;
  JobWriter writer;
  std::optional<FinishedOutput> finished;
  std::optional<FinishedOutput> replaced;  // by OUT.partial, when what is asked again is answered
  RequestCounts counts;                    // with `finished`

  // None where there is no such file; throws Error for one that cannot be read.
  static std::optional<JobFile> read(const std::string& path);
  // Durably.
  void write(const std::string& path) const;
};

}  // namespace ll
