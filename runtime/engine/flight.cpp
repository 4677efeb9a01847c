#include "runtime/engine/flight.h"

#include <algorithm>
#include <cmath>

namespace ll {

Flight::Flight(const Backend& b, int64_t max_rows)
    : backend(b), begun(b.device.create_event()), done(b.device.create_event()), scored(b.device) {
  tokens =
      static_cast<int32_t*>(b.device.alloc_host(static_cast<size_t>(max_rows) * sizeof(int32_t)));
}

Flight::~Flight() {
  backend.device.free_host(tokens);
  for (Event event : {begun, done}) backend.device.destroy_event(event);
}

// The logarithm of a row's sum of exponentials.
float Scores::normaliser(int64_t row) const {
  float max = -INFINITY;
  auto part = [&](int64_t rank) { return max_and_sum.data() + (rank * rows + row) * 2; };
  for (int64_t r = 0; r < ranks; ++r) max = std::max(max, part(r)[0]);
  double sum = 0;
  for (int64_t r = 0; r < ranks; ++r)
    sum += part(r)[1] * std::exp(static_cast<double>(part(r)[0]) - max);
  return static_cast<float>(max + std::log(sum));
}

TokenLogprob Scores::at(int64_t row, int32_t token, int32_t num_top) const {
  float shift = normaliser(row);
  TokenLogprob result{token, chosen[static_cast<size_t>(row)] - shift, {}};
  auto most = static_cast<size_t>(std::min(num_top, num_logprobs));
  result.top.reserve(most + 1);
  auto is_better = [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  for (int64_t r = 0; r < ranks; ++r)
    for (int64_t i = 0; i < num_logprobs; ++i) {
      const Candidate& c = top[static_cast<size_t>((r * rows + row) * num_logprobs + i)];
      std::pair one(c.token, c.score);
      bool is_among = result.top.size() < most || (most > 0 && is_better(one, result.top.back()));
      if (!is_among) break;  // nor are those behind it
      if (!std::isfinite(c.score)) continue;
      result.top.insert(std::upper_bound(result.top.begin(), result.top.end(), one, is_better),
                        one);
      if (result.top.size() > most) result.top.pop_back();
    }
  for (auto& [id, score] : result.top) score -= shift;
  return result;
}

StepResult Flight::take_tokens() {
  backend.device.wait_host(done);
  StepResult result{.tokens = {tokens, tokens + num_samples}};
  if (is_timed)
    result.time = {.seconds = backend.device.elapsed_ms(begun, done) * 1e-3f,
                   .collective_seconds = collective_seconds};
  return result;
}

StepResult Flight::take() {
  StepResult result = take_tokens();
  if (has_scores)
    for (int64_t i = 0; i < num_samples; ++i) {
      auto k = static_cast<size_t>(i);
      result.logprobs.push_back(wanted[k] < 0 ? TokenLogprob{}
                                              : scores.at(i, result.tokens[k], wanted[k]));
    }
  result.prompt_logprobs.resize(num_prompt_chunks);
  size_t row = 0;
  for (const Scores& piece : prompt_pieces)
    for (int64_t i = 0; i < piece.rows; ++i, ++row) {
      const PromptRow& p = prompt_rows[row];
      result.prompt_logprobs[static_cast<size_t>(p.chunk)].push_back(
          piece.at(i, p.target, p.num_logprobs));
    }
  return result;
}

}  // namespace ll
