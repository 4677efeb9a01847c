#include "runtime/engine/flight.h"

#include <algorithm>
#include <cmath>

namespace ll {

Flight::Flight(const Backend& b, int64_t max_rows)
    : backend(b), begun(b.device.create_event()), done(b.device.create_event()) {
  tokens =
      static_cast<int32_t*>(b.device.alloc_host(static_cast<size_t>(max_rows) * sizeof(int32_t)));
}

Flight::~Flight() {
  backend.device.free_host(tokens);
  for (Event event : {begun, done}) backend.device.destroy_event(event);
}

TokenLogprob Scores::at(int64_t row, int32_t token) const {
  float max = -INFINITY;
  auto part = [&](int64_t rank) { return max_and_sum.data() + (rank * rows + row) * 2; };
  for (int64_t r = 0; r < ranks; ++r) max = std::max(max, part(r)[0]);
  double sum = 0;
  for (int64_t r = 0; r < ranks; ++r)
    sum += part(r)[1] * std::exp(static_cast<double>(part(r)[0]) - max);
  auto normaliser = static_cast<float>(max + std::log(sum));
  std::vector<Candidate> best;
  for (int64_t r = 0; r < ranks; ++r) {
    const Candidate* of_rank = top.data() + (r * rows + row) * num_logprobs;
    best.insert(best.end(), of_rank, of_rank + num_logprobs);
  }
  std::sort(best.begin(), best.end(), [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.token < b.token;
  });
  best.resize(static_cast<size_t>(num_logprobs));
  TokenLogprob result{token, chosen[static_cast<size_t>(row)] - normaliser, {}};
  for (const Candidate& c : best)
    if (std::isfinite(c.score)) result.top.emplace_back(c.token, c.score - normaliser);
  return result;
}

std::vector<int32_t> Flight::take_tokens() {
  backend.device.wait_host(done);
  return {tokens, tokens + num_samples};
}

StepResult Flight::take() {
  StepResult result{.tokens = take_tokens()};
  result.seconds = backend.device.elapsed_ms(begun, done) * 1e-3;
  auto trimmed = [](TokenLogprob logprob, int32_t count) {
    logprob.top.resize(std::min(logprob.top.size(), static_cast<size_t>(count)));
    return logprob;
  };
  if (has_scores)
    for (int64_t i = 0; i < num_samples; ++i) {
      auto k = static_cast<size_t>(i);
      result.logprobs.push_back(wanted[k] < 0 ? TokenLogprob{}
                                              : trimmed(scores.at(i, result.tokens[k]), wanted[k]));
    }
  result.prompt_logprobs.resize(num_prompt_chunks);
  size_t row = 0;
  for (const Scores& piece : prompt_pieces)
    for (int64_t i = 0; i < piece.rows; ++i, ++row) {
      const PromptRow& p = prompt_rows[row];
      result.prompt_logprobs[static_cast<size_t>(p.chunk)].push_back(
          trimmed(piece.at(i, p.target), p.num_logprobs));
    }
  return result;
}

}  // namespace ll
