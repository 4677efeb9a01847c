#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/batch/manifest.h"

namespace ll {

// Keeps a manifest current while the job runs.
class ManifestKeeper {
 public:
  // `manifest` and `life` say what is known when the model is loaded: all but counts, fingerprint
  // and other lives. Throws Error when another file has the manifest's name.
  ManifestKeeper(std::string path, Manifest manifest, JobLife life);

  // How the output was left before this life; whoever left it may not have said so.
  struct Before {
    bool is_resumed = false;
    int64_t answered = 0;
    int64_t last_write = 0;  // seconds since 1970
  };
  // Writes it, with the lives before if the job goes on with theirs.
  void begin(const JobFingerprint& fingerprint, const Before& before);
  // Writes it when it has not been for a minute.
  void note(const JobWork& work, const RequestCounts& counts);
  // `exit`: JobLife's.
  void end(const JobWork& work, const RequestCounts& counts, std::string_view exit,
           bool is_complete);

 private:
  using Clock = std::chrono::steady_clock;

  void write(const JobWork& work, const RequestCounts& counts);

  std::string path_;
  Manifest manifest_;
  JobLife life_;
  std::vector<JobLife> before_;
  Clock::time_point written_;
};

}  // namespace ll
