#pragma once
// What a job's answers depend on: two runs of equal fingerprints may answer parts of one output.
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/batch/journal/input_digest.h"
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

// Both throw Error (usage) that names what differs with both values; `holder` holds the answers of
// `old`, and `setting` begins anew.
void check_same_input(const JobFingerprint& old, const JobFingerprint& now, std::string_view holder,
                      std::string_view setting);
void check_same_model(const ModelIdentity& old, const ModelIdentity& now, std::string_view holder,
                      std::string_view setting);

}  // namespace ll
