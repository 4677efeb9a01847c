#include "runtime/batch/journal/job_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/durable_file.h"
#include "base/input_file.h"
#include "runtime/batch/journal/fingerprint_json.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kFormat = 1;
constexpr uint64_t kMaxBytes = 1 << 20;

std::optional<FinishedOutput> read_output(const JsonFields& fields, const std::string& name) {
  if (!fields.has(name)) return std::nullopt;
  JsonFields output = object_in(fields, name);
  return FinishedOutput{
      .inode = static_cast<uint64_t>(output.integer("inode", INT64_MIN, INT64_MAX)),
      .bytes = output.integer("bytes", 0, INT64_MAX)};
}

Json json_of(const FinishedOutput& output) {
  return {{"inode", static_cast<int64_t>(output.inode)}, {"bytes", output.bytes}};
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
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
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
  job.finished = read_output(fields, "finished");
  job.replaced = read_output(fields, "replaced");
  if (!fields.has("request_counts")) return job;
  JsonFields counts = object_in(fields, "request_counts");
  job.counts = {.total = counts.integer("total", 0, INT64_MAX, 0),
                .failed = counts.integer("failed", 0, INT64_MAX, 0)};
  return job;
}

void JobFile::write(const std::string& path) const {
  Json json = {{"format", kFormat}};
  write_fingerprint(fingerprint, json);
  json["writer"] = {{"host", writer.host}, {"pid", writer.pid}, {"slurm_job", writer.slurm_job}};
  if (replaced) json["replaced"] = json_of(*replaced);
  if (finished) json["finished"] = json_of(*finished);
  if (finished)
    json["request_counts"] = {{"total", counts.total},
                              {"completed", counts.total - counts.failed},
                              {"failed", counts.failed}};
  write_durably(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace ll
