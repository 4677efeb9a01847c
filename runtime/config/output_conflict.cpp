#include "runtime/config/output_conflict.h"

#include <filesystem>

#include "base/check.h"

namespace ll {
namespace {

namespace fs = std::filesystem;

bool is_same(const fs::path& a, const fs::path& b) {
  std::error_code none;
  return fs::equivalent(a, b, none);
}

// A folder's files belong to the model, but for lists of requests and answers and for what lies
// beside a job's fingerprint, which earlier jobs have written; a weight file's are those that its
// name begins: the parts of NAME.h5 are NAME-00001-of-00003.h5 and so on.
bool belongs_to_model(const fs::path& file, const fs::path& model, bool is_folder) {
  if (is_folder) return file.extension() != ".jsonl" && !fs::exists(file.string() + ".job");
  return file.extension() == ".h5" &&
         file.filename().string().starts_with(model.stem().string() + "-");
}

}  // namespace

void check_output_is_no_input(const EngineConfig& config, const std::string& key,
                              const std::string& output) {
  std::error_code none;
  if (!fs::is_regular_file(output, none)) return;
  if (is_same(config.job.input, output)) fail_usage("{}: {} is job.input, too", key, output);
  fs::path model = config.model.path;
  if (is_same(model, output)) fail_usage("{}: {} is model.path, too", key, output);
  // An empty file is nothing of a model, but may be what a job that was killed left.
  if (fs::file_size(output, none) == 0) return;
  bool is_folder = fs::is_directory(model, none);
  fs::path folder = is_folder ? model : model.has_parent_path() ? model.parent_path() : ".";
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (belongs_to_model(entry.path(), model, is_folder) && is_same(entry.path(), output))
      fail_usage("{}: {} is a file of the model {}", key, output, config.model.path);
}

}  // namespace ll
