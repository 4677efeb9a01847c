#include "runtime/batch/manifest_keeper.h"

#include <ctime>
#include <filesystem>
#include <utility>

namespace ll {
namespace {

constexpr auto kPeriod = std::chrono::minutes(1);

}  // namespace

ManifestKeeper::ManifestKeeper(std::string path, Manifest manifest, JobLife life)
    : path_(std::move(path)), manifest_(std::move(manifest)), life_(std::move(life)) {
  life_.begin = utc_text(std::time(nullptr));
  if (std::filesystem::exists(path_)) before_ = Manifest::read(path_).lives;
}

void ManifestKeeper::begin(const JobFingerprint& fingerprint, const Before& before) {
  manifest_.fingerprint = fingerprint;
  for (std::string* path : {&manifest_.fingerprint.input_path, &manifest_.fingerprint.model.path})
    *path = std::filesystem::absolute(*path).lexically_normal();
  if (before.is_resumed) manifest_.lives = std::move(before_);
  if (!manifest_.lives.empty() && manifest_.lives.back().end.empty()) {
    JobLife& last = manifest_.lives.back();
    last.end = utc_text(before.last_write);
    last.answered = before.answered;
  }
  life_.answered_before = before.answered;
  manifest_.lives.push_back(std::move(life_));
  write({}, {.total = before.answered});
}

void ManifestKeeper::note(const JobWork& work, const RequestCounts& counts) {
  if (Clock::now() - written_ >= kPeriod) write(work, counts);
}

void ManifestKeeper::end(const JobWork& work, const RequestCounts& counts, std::string_view exit,
                         bool is_complete) {
  JobLife& life = manifest_.lives.back();
  life.end = utc_text(std::time(nullptr));
  life.exit = exit;
  manifest_.is_complete = is_complete;
  write(work, counts);
}

void ManifestKeeper::write(const JobWork& work, const RequestCounts& counts) {
  JobLife& life = manifest_.lives.back();
  life.work = work;
  life.answered = counts.total;
  manifest_.counts = counts;
  manifest_.write(path_);
  written_ = Clock::now();
}

}  // namespace ll
