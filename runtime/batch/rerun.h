#pragma once
// A job once more, as its manifest says that it was, and whether the answers are the same.
#include <string>
#include <vector>

#include "runtime/batch/manifest.h"
#include "runtime/config/engine_config.h"

namespace ll {

class Rerun {
 public:
  // Throws Error when the file is no manifest, or that of a job that has not come to its end.
  explicit Rerun(const std::string& manifest);

  // The configuration as overrides, "key=value": all that answers depend on, on the grid that was
  // the last. The output is another.
  std::vector<std::string> settings() const;

  // Throws Error (usage) when the configuration's input or model is not the manifest's. Returns
  // what is different and may be, a line each.
  std::vector<std::string> check_same(const EngineConfig& config, const std::string& program) const;

  struct Comparison {
    int64_t num_equal = 0, num_different = 0;
    int64_t first_different = 0;  // line of the input
    bool has_answers = true;      // to compare with
  };
  // An output beside the manifest's: all but `created`, cached tokens and costs of the answers.
  Comparison compare(const std::string& output) const;
  const std::string& output() const { return manifest_.output; }

 private:
  std::string path_;
  Manifest manifest_;
};

}  // namespace ll
