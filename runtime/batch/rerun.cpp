#include "runtime/batch/rerun.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/input_file.h"
#include "runtime/batch/journal/answer_index.h"
#include "runtime/batch/model_fingerprint.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

// What another run has otherwise, or what was for that time alone.
constexpr std::array kLeftOut = {"job.output",       "job.overwrite",  "job.resume",
                                 "job.retry_errors", "job.error_file", "job.stop_after",
                                 "record_plan"};

// An answer without what may differ from run to run.
Json lasting(const std::string& record) {
  Json json = Json::parse(record);
  if (!json["response"].is_object()) return json;
  Json& body = json["response"]["body"];
  body.erase("created");
  body["usage"].erase("litelang");
  body["usage"]["prompt_tokens_details"].erase("cached_tokens");
  body["usage"].erase("completion_tokens_details");
  return json;
}

bool are_equal(const std::string& a, const std::string& b) {
  return a == b || (!a.empty() && !b.empty() && lasting(a) == lasting(b));
}

// The answers of an output and of its file of errors.
class Answers {
 public:
  Answers(const std::vector<std::string>& paths, const LineRange& lines) {
    for (const std::string& path : paths) {
      if (path.empty() || !std::filesystem::exists(path)) continue;
      files_.push_back(std::make_unique<InputFile>(path));
      indices_.emplace_back(files_.back()->fd(), path, lines);
    }
  }
  std::string record_of(int64_t line) const {
    for (const AnswerIndex& index : indices_)
      if (std::string record = index.record_of(line); !record.empty()) return record;
    return "";
  }

 private:
  std::vector<std::unique_ptr<InputFile>> files_;
  std::vector<AnswerIndex> indices_;
};

}  // namespace

Rerun::Rerun(const std::string& manifest) : path_(manifest), manifest_(Manifest::read(manifest)) {
  check(manifest_.is_complete, "{}: the job has not come to its end, {} of its answers are there",
        path_, manifest_.counts.total);
}

std::vector<std::string> Rerun::settings() const {
  std::vector<std::string> settings;
  for (const auto& [key, value] : manifest_.configuration)
    if (std::find(kLeftOut.begin(), kLeftOut.end(), key) == kLeftOut.end())
      settings.push_back(fmt::format("{}={}", key, value));
  settings.push_back(fmt::format("job.output={}.rerun", manifest_.output));
  return settings;
}

std::vector<std::string> Rerun::check_same(const EngineConfig& config,
                                           const std::string& program) const {
  const JobFingerprint& was = manifest_.fingerprint;
  InputDigest input = digest_input(config.job.input);
  if (input.sha256 != was.input.sha256)
    fail_usage("{}: is not the input of {}: sha256 {}, it was {}; -i names another",
               config.job.input, path_, input.sha256, was.input.sha256);
  ModelFiles files(config.model);
  std::string model = model_fingerprint(files, config.model);
  if (model != was.model.fingerprint)
    fail_usage("{}: is not the model of {}: fingerprint {}, it was {}; -m names another",
               config.model.path, path_, model, was.model.fingerprint);
  std::vector<std::string> news;
  if (program != manifest_.program)
    news.push_back(fmt::format("made by {}, this is {}", manifest_.program, program));
  std::string weights = files.store ? files.store->digest() : "";
  if (!weights.empty() && !manifest_.weights.empty() && weights != manifest_.weights)
    news.push_back(
        fmt::format("{}: has other checksums: it was converted anew, or is damaged "
                    "(litelang verify)",
                    config.model.path));
  return news;
}

Rerun::Comparison Rerun::compare(const std::string& output) const {
  LineRange lines = manifest_.fingerprint.part.of(manifest_.fingerprint.input.lines);
  Comparison result{.has_answers = std::filesystem::exists(manifest_.output)};
  if (!result.has_answers) return result;
  Answers expected({manifest_.output, manifest_.error_file}, lines), got({output}, lines);
  for (int64_t line = lines.first; line <= lines.last; ++line) {
    std::string a = expected.record_of(line), b = got.record_of(line);
    if (a.empty() && b.empty()) continue;  // a blank line
    bool is_equal = are_equal(a, b);
    ++(is_equal ? result.num_equal : result.num_different);
    if (!is_equal && result.first_different == 0) result.first_different = line;
  }
  return result;
}

}  // namespace ll
