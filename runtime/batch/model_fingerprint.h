#pragma once
#include <string>

#include "runtime/config/model_files.h"

namespace ll {

// 64 digits that tell a model from others: the SHA-256 of its texts, and of each tensor's name,
// dtype, shape, and first, middle and last row. A weight file and the folder it was made of have
// the same. It reads a few megabytes: weights that were damaged elsewhere it does not see.
std::string model_fingerprint(const ModelFiles& files, const ModelOptions& options);

}  // namespace ll
