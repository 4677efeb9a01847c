// usage: mpirun -np RANKS bench_scheduler [SEQUENCES] [STEPS] [FILE]
// What a step costs rank 0 besides the model: planning it, encoding and broadcasting the plan,
// recording it in FILE, as record_plan does, and committing its tokens. The other ranks receive and
// decode the plans. Rows read the prefix that all prompts begin with in a group.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "parallel/mpi/mpi_environment.h"
#include "runtime/engine/plan_channel.h"
#include "runtime/engine/plan_file.h"
#include "runtime/schedule/scheduler.h"

namespace {

using namespace ll;
using Clock = std::chrono::steady_clock;

constexpr int64_t kPageSpan = 64;
constexpr int32_t kVocab = 150'000, kPromptLength = 600, kSharedLength = 256;

// How long answers are: steady steps only decode, in busy ones several end and start.
struct Load {
  const char* name;
  int32_t shortest, longest;
};

std::shared_ptr<Request> make_request(int64_t id, const Load& load, std::mt19937& rng) {
  auto r = std::make_shared<Request>();
  r->id = id;
  for (int32_t i = 0; i < kPromptLength; ++i)
    r->prompt.push_back(i < kSharedLength ? i : static_cast<int32_t>(rng() % kVocab));
  r->params.max_tokens =
      load.shortest +
      static_cast<int32_t>(rng() % static_cast<uint32_t>(load.longest - load.shortest + 1));
  r->params.ignore_eos = true;
  return r;
}

// Microseconds of each step's parts.
struct Timings {
  std::array<std::vector<double>, 5> parts;  // plan, send, record, commit, all four

  static double mean(const std::vector<double>& list) {
    double sum = 0;
    for (double x : list) sum += x;
    return sum / static_cast<double>(list.size());
  }
  static double percentile(std::vector<double> list, double share) {
    std::sort(list.begin(), list.end());
    return list[static_cast<size_t>(share * static_cast<double>(list.size() - 1))];
  }
  void print(const char* name) const {
    fmt::print("{:<28}", name);
    for (const auto& part : parts)
      fmt::print("  {:7.1f} {:7.1f} {:7.1f}", mean(part), percentile(part, 0.5),
                 percentile(part, 0.99));
    fmt::print("\n");
  }
};

// Commits a step late, as the engine does.
Timings run(const Load& load, int32_t num_seqs, int num_steps, PlanChannel& channel,
            PlanRecorder* recorder) {
  std::mt19937 rng(1);
  int64_t longest = kPromptLength + load.longest, next_id = 0;
  Scheduler scheduler({.max_num_seqs = num_seqs,
                       .max_num_batched_tokens = 8192,
                       .num_pages = num_seqs * (longest / kPageSpan + 2) + 1000,
                       .page_span = kPageSpan,
                       .prefix_groups = {.min_rows = 4}});
  std::deque<PlannedStep> in_flight;
  Timings timings;
  std::vector<int32_t> tokens;
  Clock::duration recording{};
  auto record = [&](const auto&... what) {
    if (!recorder) return;
    auto begin = Clock::now();
    recorder->add(what...);
    recording += Clock::now() - begin;
  };
  auto commit_oldest = [&] {
    tokens.resize(in_flight.front().samples.size());
    for (int32_t& t : tokens) t = static_cast<int32_t>(rng() % kVocab);
    record(in_flight.front().plan.id, std::span<const int32_t>(tokens));
    auto begin = Clock::now();
    scheduler.commit(std::move(in_flight.front()), {.tokens = tokens});
    in_flight.pop_front();
    return Clock::now() - begin;
  };
  // Prompts in before the clock starts.
  for (int step = 0; static_cast<int>(timings.parts[0].size()) < num_steps; ++step) {
    while (scheduler.num_waiting() < 64) scheduler.add(make_request(next_id++, load, rng));
    auto begin = Clock::now();
    PlannedStep planned = scheduler.plan();
    auto planned_at = Clock::now();
    channel.send(planned.plan);
    auto sent_at = Clock::now();
    recording = {};
    record(planned.plan);
    bool counts = scheduler.stats().num_running == num_seqs && step > 2 * num_seqs;
    in_flight.push_back(std::move(planned));
    Clock::duration committing{};
    if (in_flight.size() > 1) committing = commit_oldest();
    if (!counts) continue;
    std::array<Clock::duration, 5> spent{planned_at - begin, sent_at - planned_at, recording,
                                         committing, sent_at - begin + recording + committing};
    for (size_t i = 0; i < spent.size(); ++i)
      timings.parts[i].push_back(std::chrono::duration<double, std::micro>(spent[i]).count());
  }
  while (!in_flight.empty()) commit_oldest();
  for (int64_t id = 0; id < next_id; ++id) scheduler.cancel(id);
  return timings;
}

void bench(int32_t num_seqs, int num_steps, const char* file, const MpiGroup& world) {
  PlanChannel channel(world);
  if (world.rank() > 0) {
    while (channel.receive().kind != StepPlan::Kind::kStop) continue;
    return;
  }
  fmt::print("{} sequences, {} steps, {} ranks; microseconds: mean, median, 99%\n", num_seqs,
             num_steps, world.size());
  fmt::print("{:<28}  {:<23}  {:<23}  {:<23}  {:<23}  {}\n", "", "plan", "encode and broadcast",
             "record", "commit", "step");
  std::optional<PlanRecorder> recorder;
  if (file) recorder.emplace(file, PlanFileHeader{.num_ranks = world.size(), .num_pages = 1});
  for (const Load& load :
       {Load{"decode only", 4000, 4000}, Load{"600 in, 200 to 400 out", 200, 400},
        Load{"600 in, 10 to 30 out", 10, 30}})
    run(load, num_seqs, num_steps, channel, recorder ? &*recorder : nullptr).print(load.name);
  channel.send({.kind = StepPlan::Kind::kStop});
}

}  // namespace

int main(int argc, char** argv) {
  MpiEnvironment mpi(&argc, &argv);
  try {
    bench(argc > 1 ? std::atoi(argv[1]) : 256, argc > 2 ? std::atoi(argv[2]) : 2000,
          argc > 3 ? argv[3] : nullptr, mpi.world());
  } catch (const Error& e) {
    fmt::print(stderr, "bench_scheduler: {}\n", e.what());
    MpiEnvironment::abort(e.code());
  }
}
