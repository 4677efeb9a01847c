#include "runtime/batch/job_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/durable_file.h"
#include "base/input_file.h"
#include "base/json_fields.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kFormat = 1;
constexpr uint64_t kMaxBytes = 1 << 20;

JsonFields object_in(const JsonFields& fields, const std::string& name) {
  const JsonTree* tree = fields.find(name);
  check(tree != nullptr, "{}: {} is missing", fields.where(), name);
  return JsonFields(*tree, fmt::format("{}: {}", fields.where(), name));
}

JobFingerprint read_fingerprint(const JsonFields& fields) {
  JobFingerprint f;
  JsonFields input = object_in(fields, "input"), model = object_in(fields, "model");
  f.input_path = input.text("path", "");
  f.input.sha256 = input.text("sha256", "");
  f.input.bytes = input.integer("bytes", 0, INT64_MAX);
  f.input.lines = input.integer("lines", 0, INT64_MAX);
  f.part = parse_line_part(fields.text("part", "1/1"));
  f.model.path = model.text("path", "");
  f.model.fingerprint = model.text("fingerprint", "");
  f.model.dtype = model.text("dtype", "");
  f.model.seed = static_cast<uint64_t>(fields.integer("seed", 0, INT64_MAX));
  return f;
}

}  // namespace

std::string JobWriter::text() const {
  return fmt::format("process {} on {}{}", pid, host,
                     slurm_job.empty() ? "" : ", Slurm job " + slurm_job);
}

JobWriter JobWriter::self(const std::string& host) {
  const char* job = std::getenv("SLURM_JOB_ID");
  return {.host = host, .pid = ::getpid(), .slurm_job = job ? job : ""};
}

std::optional<FinishedOutput> FinishedOutput::of(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0)
    return std::nullopt;
  return FinishedOutput{.inode = info.st_ino, .bytes = info.st_size};
}

std::optional<JobFile> JobFile::read(const std::string& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  JsonTree tree = JsonTree::parse(InputFile(path).read_all(kMaxBytes), path);
  JsonFields fields(tree, path);
  int64_t format = fields.integer("format", 0, INT64_MAX);
  check(format == kFormat, "{}: is of format {}; this version knows {}", path, format, kFormat);
  JobFile job{.fingerprint = read_fingerprint(fields)};
  JsonFields writer = object_in(fields, "writer");
  job.writer = {.host = writer.text("host", ""),
                .pid = writer.integer("pid", 0, INT64_MAX, 0),
                .slurm_job = writer.text("slurm_job", "")};
  if (!fields.has("finished")) return job;
  JsonFields finished = object_in(fields, "finished");
  job.finished = {.inode = static_cast<uint64_t>(finished.integer("inode", INT64_MIN, INT64_MAX)),
                  .bytes = finished.integer("bytes", 0, INT64_MAX)};
  return job;
}

void JobFile::write(const std::string& path) const {
  const JobFingerprint& f = fingerprint;
  Json json = {
      {"format", kFormat},
      {"input",
       {{"path", f.input_path},
        {"sha256", f.input.sha256},
        {"bytes", f.input.bytes},
        {"lines", f.input.lines}}},
      {"part", part_text(f.part)},
      {"model",
       {{"path", f.model.path}, {"fingerprint", f.model.fingerprint}, {"dtype", f.model.dtype}}},
      {"seed", f.model.seed},
      {"writer", {{"host", writer.host}, {"pid", writer.pid}, {"slurm_job", writer.slurm_job}}}};
  if (finished)
    json["finished"] = {{"inode", static_cast<int64_t>(finished->inode)},
                        {"bytes", finished->bytes}};
  if (finished)
    json["request_counts"] = {{"total", counts.total},
                              {"completed", counts.total - counts.failed},
                              {"failed", counts.failed}};
  write_durably(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace ll
