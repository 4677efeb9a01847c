#include "runtime/process/time_limit.h"

#include <doctest/doctest.h>

#include <ctime>
#include <map>

using namespace ll;
using namespace std::chrono_literals;

namespace {

std::optional<TimeLimit> limit_of(const std::map<std::string, std::string>& environment,
                                  const std::string& squeue, std::string* asked = nullptr) {
  return slurm_time_limit({.variable =
                               [&](const char* name) {
                                 auto found = environment.find(name);
                                 return found == environment.end() ? nullptr
                                                                   : found->second.c_str();
                               },
                           .time_left =
                               [&](const std::string& job) {
                                 if (asked) *asked = job;
                                 return squeue;
                               }});
}

bool is_in(const std::optional<TimeLimit>& limit, std::chrono::seconds left) {
  auto is = limit.value().end - std::chrono::steady_clock::now();
  return is > left - 3s && is < left + 3s;
}

}  // namespace

TEST_CASE("time left, as squeue prints it") {
  CHECK(parse_time_left("0:29\n") == 29s);
  CHECK(parse_time_left("59:59") == 59min + 59s);
  CHECK(parse_time_left("2:03:04") == 2h + 3min + 4s);
  CHECK(parse_time_left("1-02:03:04\n") == 26h + 3min + 4s);
  CHECK(parse_time_left("10-00:00:00") == 240h);
  for (const char* none : {"", "UNLIMITED", "NOT_SET", "INVALID", "17", "1:2:3:4", "a:1", "1-",
                           "-1:00", ":", "1::2"}) {
    CAPTURE(none);
    CHECK_FALSE(parse_time_left(none));
  }
}

TEST_CASE("the limit of a Slurm job, by its environment or by squeue") {
  std::string asked;
  CHECK_FALSE(limit_of({}, "10:00", &asked));
  CHECK(asked.empty());
  std::string end = std::to_string(std::time(nullptr) + 100);
  auto told = limit_of({{"SLURM_JOB_ID", "7"}, {"SLURM_JOB_END_TIME", end}}, "10:00", &asked);
  CHECK(is_in(told, 100s));
  CHECK(told->name == "the time limit of Slurm job 7");
  CHECK(asked.empty());
  CHECK(is_in(limit_of({{"SLURM_JOB_ID", "7"}}, "10:00\n", &asked), 600s));
  CHECK(asked == "7");
  CHECK_FALSE(limit_of({{"SLURM_JOB_ID", "7"}}, "UNLIMITED\n"));
  CHECK_FALSE(limit_of({{"SLURM_JOB_ID", "7"}}, ""));
}
