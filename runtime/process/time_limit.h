#pragma once
// How long the job may run.
#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace ll {

struct TimeLimit {
  std::chrono::steady_clock::time_point end;
  std::string name;  // "the time limit of Slurm job 4711"
};

// What `squeue -o %L` prints: [days-]hours:minutes:seconds, or fewer of them; none for a word such
// as UNLIMITED.
std::optional<std::chrono::seconds> parse_time_left(const std::string& text);

// Where this process belongs to a Slurm job that has a limit: of SLURM_JOB_END_TIME, which newer
// versions set, else of what `squeue`, asked once, says is left.
struct SlurmQuestions {
  std::function<const char*(const char* name)> variable;         // getenv
  std::function<std::string(const std::string& job)> time_left;  // "" where nobody knows
};
std::optional<TimeLimit> slurm_time_limit(const SlurmQuestions& ask);

// The real ones; squeue gets ten seconds.
SlurmQuestions slurm_questions();

}  // namespace ll
