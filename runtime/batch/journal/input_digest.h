#pragma once
#include <cstdint>
#include <string>

namespace ll {

// What a file of requests is known by.
struct InputDigest {
  std::string sha256;  // 64 digits
  int64_t bytes = 0, lines = 0;
};

// The digest of a regular file, in one pass of about a second a GB. Throws Error.
InputDigest digest_input(const std::string& path);

}  // namespace ll
