#pragma once
// A job's fingerprint as JSON files have it.
#include <nlohmann/json.hpp>
#include <string>

#include "base/json_fields.h"
#include "runtime/batch/journal/job_fingerprint.h"

namespace ll {

// The object in a field that must be there.
JsonFields object_in(const JsonFields& fields, const std::string& name);

JobFingerprint read_fingerprint(const JsonFields& fields);
// Adds input, part, model and seed.
void write_fingerprint(const JobFingerprint& fingerprint, nlohmann::ordered_json& json);

}  // namespace ll
