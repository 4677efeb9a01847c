#include "runtime/batch/journal/job_fingerprint.h"

#include "base/check.h"

namespace ll {
namespace {

std::string short_hash(const std::string& hash) { return hash.substr(0, 16); }

}  // namespace

void check_same_input(const JobFingerprint& old, const JobFingerprint& now, std::string_view holder,
                      std::string_view setting) {
  if (old.input.sha256 != now.input.sha256)
    fail_usage(
        "{}: holds answers to another input: sha256 {}, {} lines; {} has sha256 {}, {} lines; "
        "give the old input again, choose another job.output, or set {}",
        holder, old.input.sha256, old.input.lines, now.input_path, now.input.sha256,
        now.input.lines, setting);
  if (old.part != now.part)
    fail_usage(
        "{}: holds answers to part {} of the input, and job.part is {}; give each part an output "
        "of its own",
        holder, part_text(old.part), part_text(now.part));
}

void check_same_model(const ModelIdentity& old, const ModelIdentity& now, std::string_view holder,
                      std::string_view setting) {
  auto refuse = [&](std::string_view what, const std::string& was, const std::string& is) {
    fail_usage(
        "{}: holds answers of another {}: {}, and now it is {}; choose another job.output, or set "
        "{} "
        "to begin anew",
        holder, what, was, is, setting);
  };
  if (old.fingerprint != now.fingerprint)
    refuse("model", fmt::format("{} ({})", old.path, short_hash(old.fingerprint)),
           fmt::format("{} ({})", now.path, short_hash(now.fingerprint)));
  if (old.dtype != now.dtype) refuse("dtype", old.dtype, now.dtype);
  if (old.seed != now.seed) refuse("seed", std::to_string(old.seed), std::to_string(now.seed));
}

}  // namespace ll
