#pragma once
// Configurations of a few lines, and what is said of those that are refused.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "runtime/job_config.h"

namespace ll::test {

inline EngineConfig parse(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return read_job_config(yaml, "demo.yaml", overrides);
}

// With the one key that has no default.
inline EngineConfig parse_with_path(const std::string& yaml,
                                    std::vector<std::string> overrides = {}) {
  overrides.push_back("model.path=m.h5");
  return parse(yaml, overrides);
}

inline std::string refusal(const std::string& yaml,
                           const std::vector<std::string>& overrides = {}) {
  try {
    parse(yaml, overrides);
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::kUsage);
    return e.what();
  }
  return "";
}

// The key on a line of its own, in its section.
inline std::string yaml_of(const std::string& key, const std::string& value) {
  size_t dot = key.find('.');
  return dot == std::string::npos
             ? fmt::format("{}: {}\n", key, value)
             : fmt::format("{}:\n  {}: {}\n", key.substr(0, dot), key.substr(dot + 1), value);
}

}  // namespace ll::test
