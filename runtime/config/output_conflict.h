#pragma once
// What a job writes must be nothing that it reads.
#include <string>

#include "runtime/config/engine_config.h"

namespace ll {

// Throws Error (usage) when the file of the output key `key` is the input, the model, or a file
// with contents in the model's folder or set of weight files that no job has written, by whatever
// name. No output is touched.
void check_output_is_no_input(const EngineConfig& config, const std::string& key,
                              const std::string& output);

}  // namespace ll
