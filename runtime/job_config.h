#pragma once
// The configuration of a job: the keys of all rooms.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/config/config_reader.h"

namespace ll {

// In the order of the reference.
const ConfigTable& job_keys();

// The row of a key that exists.
const ConfigRow& job_key(std::string_view key);

// `where` names the text in errors ("configs/demo.yaml"); each override is "key.path=value".
// Throws Error (usage) with file, line and, for an unknown key, the nearest one.
EngineConfig read_job_config(std::string_view text, std::string_view where,
                             const std::vector<std::string>& overrides);

// The keys that the answers of a batch may depend on, with their values: read_job_config() makes
// the same of them as overrides. Those that are empty are left out.
std::vector<std::pair<std::string, std::string>> batch_settings(const EngineConfig& config);

// configs/reference.yaml
std::string job_reference();

}  // namespace ll
