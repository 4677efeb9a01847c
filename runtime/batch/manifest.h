#pragma once
// OUT.manifest.json: how the answers in OUT came to be. Written when the first of them is, and kept
// current by every run; `litelang rerun` starts from it.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/batch/journal/job_file.h"
#include "runtime/schedule/step_cost.h"

namespace ll {

using TextPairs = std::vector<std::pair<std::string, std::string>>;  // name, value

// Ranks that follow each other on one host, with devices of one kind.
struct HostRanks {
  std::string host, device;
  int64_t ranks = 0;

  bool operator==(const HostRanks&) const = default;
};

// What steps made and cost.
struct JobWork {
  int64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
  Cost cost;
  Cost given_back;  // what of that no answer has, since requests were given back
};

// What was run of a job in one go.
struct JobLife {
  std::string begin, end;  // UTC; no end: it did not say
  std::string exit;        // "done", "stopped: SIGUSR1 came"
  JobWriter writer;
  std::string grid;
  std::vector<HostRanks> hosts;
  int64_t kv_tokens = 0;                      // there is room for, in a replica
  int64_t answered_before = 0, answered = 0;  // lines of the output, at the begin and the end
  JobWork work;
};

struct Manifest {
  std::string program, commit;
  TextPairs libraries;      // with their versions
  TextPairs configuration;  // keys and values, as they were in the end: paths are absolute
  JobFingerprint fingerprint;
  std::string weights;  // see WeightStore::digest()
  std::string output, error_file;
  RequestCounts counts;
  bool is_complete = false;
  std::vector<JobLife> lives;

  // Throws Error for a file that is missing or no manifest.
  static Manifest read(const std::string& path);
  // Durably.
  void write(const std::string& path) const;
};

// "2026-11-30T12:00:00Z", of seconds since 1970.
std::string utc_text(int64_t time);

}  // namespace ll
