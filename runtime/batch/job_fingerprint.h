#pragma once
// What a job's answers depend on: two runs of equal fingerprints may answer parts of one output.
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/batch/input_digest.h"
#include "runtime/config/line_range.h"

namespace ll {

// The model and how it draws.
struct ModelIdentity {
  std::string path;         // for messages, and no part of what is compared
  std::string fingerprint;  // see model_fingerprint()
  std::string dtype;
  uint64_t seed = 0;  // of requests that bring none
};

struct JobFingerprint {
  std::string input_path;  // for messages
  InputDigest input;
  LinePart part;
  ModelIdentity model;
};

// Both throw Error (usage) that names what differs with both values; `journal` holds the answers
// of `old`.
void check_same_input(const JobFingerprint& old, const JobFingerprint& now,
                      std::string_view journal);
void check_same_model(const ModelIdentity& old, const ModelIdentity& now, std::string_view journal);

// Whether check_same_input() and check_same_model() would throw nothing.
bool is_same_job(const JobFingerprint& a, const JobFingerprint& b);

}  // namespace ll
