// usage: bench_answers tokenizer.json
// What answers cost the threads of the host beside a step of 256 rows, in microseconds a step: from
// the scores that a step brings to log-probabilities, from tokens to text, and from answers to
// JSON. The best of a few rounds, in time of the CPU, so that other work of the machine counts
// less. Ids are drawn as text has them: the lower, the more often.
#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/input_file.h"
#include "kernels/backend.h"
#include "runtime/answers/desk.h"
#include "runtime/api/completion_body.h"
#include "runtime/engine/flight.h"

namespace ll {
namespace {

constexpr int64_t kRows = 256, kSteps = 64;

double cpu_seconds(const auto& work) {
  constexpr int kRounds = 5;
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    std::clock_t start = std::clock();
    work();
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return best;
}

// Tokens of a step that every sequence draws one of, and scores as a step brings them.
class Step {
 public:
  Step(const Backend& backend, int32_t vocab, int32_t num_logprobs, int64_t number)
      : flight_(backend, kRows) {
    auto id = [&](int64_t i) {
      auto mixed = static_cast<uint64_t>(number * kRows * 32 + i) * 0x9E3779B97F4A7C15u;
      double u = static_cast<double>(mixed >> 32) / 4294967296.0;
      return static_cast<int32_t>(u * u * u * vocab);
    };
    flight_.num_samples = kRows;
    flight_.has_scores = num_logprobs >= 0;
    flight_.wanted.assign(kRows, num_logprobs);
    for (int64_t r = 0; r < kRows; ++r) {
      flight_.tokens[r] = id(32 * r);
      for (int32_t i = 0; i < num_logprobs; ++i)
        top_.push_back({20.0f - static_cast<float>(i) * 1.1f, id(32 * r + i)});
      chosen_.push_back(20);
      max_and_sum_.insert(max_and_sum_.end(), {20.0f, 1.1f + static_cast<float>(r) / 1000});
    }
    flight_.scores = {num_logprobs, 1, kRows, max_and_sum_, chosen_, top_};
    backend.device.record(flight_.begun, {});
    backend.device.record(flight_.done, {});
  }

  StepEvents events(int64_t key, bool is_last) {
    StepResult result = flight_.take();
    StepEvents events;
    for (int64_t r = 0; r < kRows; ++r) {
      auto row = static_cast<size_t>(r);
      events.tokens.push_back(
          {.sequence = {key + r, 0},
           .token = result.tokens[row],
           .finish_reason = is_last ? FinishReason::kLength : FinishReason::kNone});
      if (flight_.has_scores) events.tokens.back().logprob = std::move(result.logprobs[row]);
    }
    return events;
  }

 private:
  Flight flight_;
  std::vector<float> max_and_sum_, chosen_;
  std::vector<Candidate> top_;
};

struct Case {
  const char* name;
  Endpoint endpoint;
  int32_t logprobs;
};
constexpr Case kCases[] = {{"chat", Endpoint::kChatCompletions, -1},
                           {"chat, 5 logprobs", Endpoint::kChatCompletions, 5},
                           {"completions, 5 logprobs", Endpoint::kCompletions, 5},
                           {"completions, 20 logprobs", Endpoint::kCompletions, 20}};

void run(const Backend& backend, const Tokenizer& tokenizer, const Case& what) {
  std::vector<std::unique_ptr<Step>> steps;
  for (int64_t i = 0; i < kSteps; ++i)
    steps.push_back(std::make_unique<Step>(backend, tokenizer.vocab_size(), what.logprobs, i));
  double per_step = 1e6 / kSteps;
  double scores = per_step * cpu_seconds([&] {
                    for (auto& step : steps) step->events(1, false);
                  });
  std::vector<Answer> answers;
  Desk desk(&tokenizer, {});
  int64_t first = 1;
  double texts =
      per_step * cpu_seconds([&] {
        for (int64_t r = 0; r < kRows; ++r) {
          CompletionRequest request{.endpoint = what.endpoint, .model = "model", .prompts = {{1}}};
          request.params.logprobs = what.logprobs;
          desk.open(first + r, std::move(request));
        }
        for (int64_t i = 0; i < kSteps; ++i)
          answers =
              desk.take(steps[static_cast<size_t>(i)]->events(first, i == kSteps - 1)).answers;
        first += kRows;
      });
  size_t bytes = 0;
  double json = per_step * cpu_seconds([&] {
                  bytes = 0;
                  for (const Answer& a : answers)
                    bytes +=
                        completion_body(a.request, a.choices, a.usage, "1", 0, &tokenizer).size();
                });
  fmt::print("{:26} {:9.1f} {:9.1f} {:9.1f} {:9.1f} {:9.0f}\n", what.name, scores, texts - scores,
             json, texts + json, static_cast<double>(bytes) / (kRows * kSteps));
}

}  // namespace
}  // namespace ll

int main(int argc, char** argv) try {
  if (argc != 2) ll::fail_usage("usage: bench_answers tokenizer.json");
  ll::Backend backend = ll::open_backend(ll::BackendKind::kCpu, 0, 1);
  auto tokenizer = ll::Tokenizer::from_json(ll::InputFile(argv[1]).read_all(UINT64_MAX), argv[1]);
  fmt::print("{:26} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "us a step of 256 rows", "scores", "texts",
             "JSON", "all", "B/token");
  for (const ll::Case& what : ll::kCases) ll::run(backend, tokenizer, what);
} catch (const ll::Error& error) {
  fmt::print(stderr, "bench_answers: {}\n", error.what());
  return static_cast<int>(error.code());
}
